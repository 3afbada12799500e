INSERT INTO mailbox (domain, account, name, uid_validity) VALUES (?1, ?2, ?3, ?4)

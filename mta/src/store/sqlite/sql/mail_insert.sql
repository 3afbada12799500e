INSERT INTO mail (mailbox, uid, modseq, message, account, domain, size_bytes, internal_date_us, copy_fields)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)

INSERT INTO mailbox_gone (account, name, domain, uid_validity)
SELECT account, name, domain, uid_validity FROM mailbox WHERE account = ?1
ON CONFLICT (account, name) DO UPDATE SET uid_validity = excluded.uid_validity

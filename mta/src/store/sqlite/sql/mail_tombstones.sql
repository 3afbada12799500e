SELECT mailbox, uid, message FROM mail INDEXED BY mail_expunged
WHERE expunged_us IS NOT NULL AND expunged_us <= ?1
ORDER BY expunged_us
LIMIT ?2

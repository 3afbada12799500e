SELECT uid, modseq, message, size_bytes, internal_date_us
FROM mail
WHERE mailbox = ?1 AND expunged_us IS NULL
ORDER BY uid
LIMIT ?2

SELECT size_bytes FROM mail WHERE mailbox = ?1 AND uid = ?2 AND expunged_us IS NULL

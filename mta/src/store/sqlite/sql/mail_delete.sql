DELETE FROM mail WHERE mailbox = ?1 AND uid = ?2

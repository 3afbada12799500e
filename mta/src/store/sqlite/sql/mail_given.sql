SELECT 1 FROM mail WHERE message = ?1 AND account = ?2

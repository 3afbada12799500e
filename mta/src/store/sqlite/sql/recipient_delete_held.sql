DELETE FROM recipient WHERE message = ?1 AND idx = ?2 AND holder = ?3

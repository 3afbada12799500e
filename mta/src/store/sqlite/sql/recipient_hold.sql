UPDATE recipient SET holder = ?3 WHERE message = ?1 AND idx = ?2

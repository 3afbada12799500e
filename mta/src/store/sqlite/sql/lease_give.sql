DELETE FROM lease WHERE account = ?1 AND session = ?2

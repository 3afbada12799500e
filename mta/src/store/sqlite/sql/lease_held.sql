SELECT 1 FROM lease WHERE account = ?1 AND session = ?2 AND expires_us > ?3

INSERT OR IGNORE INTO dead_letter (message, idx, domain, died_us, address, error)
SELECT message, idx, domain, ?4, address, ?5 FROM recipient WHERE message = ?1 AND idx = ?2 AND holder = ?3

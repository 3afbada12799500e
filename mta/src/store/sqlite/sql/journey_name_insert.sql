INSERT OR IGNORE INTO journey_name (minute, hash, message) VALUES (?1, ?2, ?3)

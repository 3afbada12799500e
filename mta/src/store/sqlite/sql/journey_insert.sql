INSERT INTO journey (message, message_id, last_us, steps) VALUES (?1, ?2, ?3, ?4)

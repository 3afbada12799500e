INSERT OR IGNORE INTO message (id, domain, accepted_us, reverse_path, message_id, flags, size_bytes, content)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)

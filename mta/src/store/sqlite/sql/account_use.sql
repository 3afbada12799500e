INSERT INTO account (id, domain, used_bytes) VALUES (?1, ?2, ?3)
ON CONFLICT (id) DO UPDATE SET used_bytes = max(used_bytes + excluded.used_bytes, 0)

INSERT INTO incarnation (id, expires_us, ended) VALUES (?1, ?2, 1)
ON CONFLICT (id) DO UPDATE SET ended = 1

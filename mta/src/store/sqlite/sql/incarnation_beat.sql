INSERT INTO incarnation (id, expires_us) VALUES (?1, ?2)
ON CONFLICT (id) DO UPDATE SET expires_us = excluded.expires_us

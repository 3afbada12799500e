INSERT INTO lease (account, session, expires_us) VALUES (?1, ?2, ?3)
ON CONFLICT (account) DO UPDATE SET session = excluded.session, expires_us = excluded.expires_us
WHERE lease.session = excluded.session OR lease.expires_us <= ?4

DELETE FROM journey
WHERE id IN (SELECT id FROM journey INDEXED BY journey_last WHERE last_us <= ?1 ORDER BY last_us LIMIT ?2)

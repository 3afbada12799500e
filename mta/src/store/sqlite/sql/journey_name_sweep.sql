DELETE FROM journey_name
WHERE (minute, hash, message) IN (SELECT minute, hash, message FROM journey_name WHERE minute <= ?1 ORDER BY minute LIMIT ?2)

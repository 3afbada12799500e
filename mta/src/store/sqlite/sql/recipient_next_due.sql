SELECT next_attempt_us
FROM recipient INDEXED BY recipient_due
WHERE holder IS NULL AND (?1 >> shard) & 1
ORDER BY next_attempt_us
LIMIT 1

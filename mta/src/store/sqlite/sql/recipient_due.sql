SELECT message, idx, address, original, account, attempts, warned
FROM recipient INDEXED BY recipient_due
WHERE holder IS NULL AND next_attempt_us <= ?1 AND (?2 >> shard) & 1
ORDER BY next_attempt_us
LIMIT ?3

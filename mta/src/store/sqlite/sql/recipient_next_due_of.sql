SELECT min(next_attempt_us) FROM recipient WHERE holder = ?2 AND (?1 >> shard) & 1

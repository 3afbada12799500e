INSERT INTO recipient (message, idx, domain, shard, holder, next_attempt_us, address, original, account)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)

SELECT id FROM account INDEXED BY account_gone
WHERE gone_us IS NOT NULL AND gone_us <= ?1
ORDER BY gone_us
LIMIT ?2

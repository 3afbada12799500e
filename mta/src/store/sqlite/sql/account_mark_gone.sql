UPDATE account SET gone_us = ?1
WHERE gone_us IS NULL AND id NOT IN (SELECT account FROM directory_entry WHERE account IS NOT NULL)

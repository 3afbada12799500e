UPDATE account SET gone_us = NULL
WHERE gone_us IS NOT NULL AND id IN (SELECT account FROM directory_entry WHERE account IS NOT NULL)

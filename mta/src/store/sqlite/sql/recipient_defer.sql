UPDATE recipient
SET holder = NULL, next_attempt_us = ?4, error = ?5, warned = ?6, attempts = attempts + 1
WHERE message = ?1 AND idx = ?2 AND holder = ?3

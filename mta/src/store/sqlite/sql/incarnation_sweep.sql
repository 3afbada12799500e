DELETE FROM incarnation WHERE ended = 1 AND expires_us <= ?1

SELECT id FROM incarnation WHERE ended = 0 AND expires_us <= ?1

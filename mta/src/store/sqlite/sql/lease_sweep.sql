DELETE FROM lease WHERE expires_us <= ?1

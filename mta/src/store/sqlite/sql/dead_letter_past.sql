SELECT message, idx FROM dead_letter WHERE died_us <= ?1 ORDER BY died_us LIMIT ?2

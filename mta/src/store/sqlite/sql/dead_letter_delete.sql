DELETE FROM dead_letter WHERE message = ?1 AND idx = ?2

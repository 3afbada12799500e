SELECT message_id, steps FROM journey WHERE message = ?1 ORDER BY id
LIMIT ?2

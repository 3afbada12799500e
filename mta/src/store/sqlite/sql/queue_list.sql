SELECT r.message, r.idx, r.address, r.attempts, r.error, r.holder IS NOT NULL, r.next_attempt_us,
       m.message_id, m.reverse_path, m.size_bytes, m.accepted_us
FROM recipient r JOIN message m ON m.id = r.message
WHERE (r.message, r.idx) > (?1, ?2)
ORDER BY r.message, r.idx
LIMIT ?3

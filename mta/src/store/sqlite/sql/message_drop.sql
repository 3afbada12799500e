DELETE FROM message
WHERE id = ?1
  AND NOT EXISTS (SELECT 1 FROM recipient WHERE message = ?1)
  AND NOT EXISTS (SELECT 1 FROM mail WHERE message = ?1)
  AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE message = ?1)
RETURNING flags

SELECT (SELECT count(*) FROM recipient),
       (SELECT accepted_us FROM message WHERE id = (SELECT message FROM recipient ORDER BY message LIMIT 1))

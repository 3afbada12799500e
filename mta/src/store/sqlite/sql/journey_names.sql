WITH RECURSIVE minutes (minute) AS (
    SELECT min(minute) FROM journey_name
    UNION ALL
    SELECT (SELECT journey_name.minute FROM journey_name WHERE journey_name.minute > minutes.minute
            ORDER BY journey_name.minute LIMIT 1)
    FROM minutes WHERE minute IS NOT NULL
)
SELECT DISTINCT journey_name.message
FROM minutes JOIN journey_name ON journey_name.minute = minutes.minute AND journey_name.hash = ?1
LIMIT ?2

-- Seconds until the next one becomes due; null when there is none.
SELECT extract(epoch FROM due_at - clock_timestamp())::float8
FROM brain_webhook_deliveries
ORDER BY due_at
LIMIT 1

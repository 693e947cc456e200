-- What is due, taken for the time of a lease. Whoever holds a row is passed by.
WITH due AS (
    SELECT delivery_id
    FROM brain_webhook_deliveries
    WHERE due_at <= clock_timestamp()
    ORDER BY due_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE brain_webhook_deliveries AS taken
SET attempts = taken.attempts + 1,
    due_at = clock_timestamp() + make_interval(secs => $2)
FROM due
WHERE taken.delivery_id = due.delivery_id
RETURNING taken.delivery_id, taken.tenant_id, taken.body, taken.attempts, taken.created_at

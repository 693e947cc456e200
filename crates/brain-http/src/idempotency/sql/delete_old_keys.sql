-- Of all tenants, some at a time.
DELETE FROM brain_idempotency_keys
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM brain_idempotency_keys
    WHERE started_at < clock_timestamp() - $1::bigint * interval '1 millisecond'
    ORDER BY started_at
    LIMIT 1000
    FOR UPDATE SKIP LOCKED))

-- After an attempt that failed, unless the lease ran out and another replica is at it.
UPDATE brain_webhook_deliveries
SET due_at = clock_timestamp() + make_interval(secs => $4),
    last_error = $5
WHERE tenant_id = $1 AND delivery_id = $2 AND attempts = $3

UPDATE brain_capability_executions
SET sent_at = clock_timestamp()
WHERE execution_id = $1 AND tenant_id = $2 AND status = 'dispatched' AND sent_at IS NULL

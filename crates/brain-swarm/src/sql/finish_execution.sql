UPDATE brain_capability_executions
SET status = $3, output = $4, output_hash = $5, error = $6, finished_at = clock_timestamp()
WHERE execution_id = $1 AND tenant_id = $2
    AND (status = 'dispatched' OR (status = 'unknown' AND $3 IN ('succeeded', 'failed')))

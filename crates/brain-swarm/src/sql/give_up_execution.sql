UPDATE brain_capability_executions
SET status = 'unknown', finished_at = clock_timestamp(),
    error = 'the replica that dispatched it did not say what came of it; look at the other side before anything is done again'
WHERE execution_id = $1 AND tenant_id = $2 AND status = 'dispatched'

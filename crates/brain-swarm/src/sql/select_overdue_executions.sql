SELECT execution_id, tenant_id, proposal_id, started_at, replica_id
FROM brain_capability_executions
WHERE status = 'dispatched' AND deadline < clock_timestamp()
ORDER BY deadline
LIMIT $1

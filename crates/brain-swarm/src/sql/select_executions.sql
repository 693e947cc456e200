SELECT proposal_id, execution_id, kind, status, authority, exemption_id, principal, started_at, sent_at, finished_at,
    CASE WHEN $3 THEN output END AS output, error
FROM brain_capability_executions
WHERE proposal_id = ANY ($1) AND tenant_id = $2
ORDER BY started_at, execution_id

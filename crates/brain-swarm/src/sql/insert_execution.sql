WITH used AS (
    UPDATE brain_capability_proposals
    SET status = 'executed', updated_at = clock_timestamp()
    WHERE proposal_id = $3 AND tenant_id = $2
)
INSERT INTO brain_capability_executions
    (execution_id, tenant_id, proposal_id, kind, authority, exemption_id, status, principal, replica_id, deadline)
VALUES ($1, $2, $3, $4, $5, $6, 'dispatched', $7, $8, clock_timestamp() + $9::bigint * interval '1 millisecond')

-- Renews the leases that are still the agent's, each for its own length; of the others it says how the task stands. Rows are locked
-- in the order in which a batch writes them, so that the two never wait for each other in a circle.
WITH wanted AS (
    SELECT DISTINCT ON (task_id, token) task_id, token
    FROM unnest($4::text[], $5::bigint[]) AS w(task_id, token)
), own AS MATERIALIZED (
    SELECT t.task_id
    FROM swarm_tasks t
    WHERE t.tenant_id = $1 AND t.swarm_id = $2 AND t.task_id = ANY ($4::text[]) AND t.assigned_agent_id = $3
        AND t.status = 'running' AND t.lease_expires_at > clock_timestamp()
        AND EXISTS (SELECT 1 FROM wanted WHERE wanted.task_id = t.task_id AND wanted.token = t.fencing_token)
    ORDER BY t.task_id
    FOR NO KEY UPDATE
), renewed AS (
    UPDATE swarm_tasks t
    SET lease_expires_at = clock_timestamp() + t.lease_ms * interval '1 millisecond'
    FROM own
    WHERE t.tenant_id = $1 AND t.swarm_id = $2 AND t.task_id = own.task_id
    RETURNING t.task_id, t.fencing_token, t.lease_expires_at
)
SELECT wanted.task_id, wanted.token, renewed.lease_expires_at,
    CASE WHEN renewed.task_id IS NULL THEN (
        SELECT status FROM swarm_tasks t
        WHERE t.tenant_id = $1 AND t.swarm_id = $2 AND t.task_id = wanted.task_id AND t.fencing_token = wanted.token) END AS status
FROM wanted
LEFT JOIN renewed ON renewed.task_id = wanted.task_id AND renewed.fencing_token = wanted.token

-- Runs that are over, or abandoned, with no event of their beginning and no task left.
DELETE FROM swarm_runs r
USING (
    (
        SELECT run_id
        FROM swarm_runs
        WHERE tenant_id = $1 AND swarm_id = $2 AND state <> 'open' AND finished_at < $3
            AND updated_at < $3 AND first_seq <= $4 AND tasks_pruned >= tasks_created
        LIMIT $5)
    UNION ALL (
        SELECT run_id
        FROM swarm_runs
        WHERE tenant_id = $1 AND swarm_id = $2 AND state = 'open' AND first_seq <= $4
            AND updated_at < $3 AND tasks_pruned >= tasks_created
        LIMIT $5)
    LIMIT $5) old
WHERE r.tenant_id = $1 AND r.swarm_id = $2 AND r.run_id = old.run_id

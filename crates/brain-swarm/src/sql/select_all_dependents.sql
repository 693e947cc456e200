-- All edges that lead away from these tasks, however far: what the end of one can end in turn.
WITH RECURSIVE reached AS (
    SELECT tenant_id, swarm_id, task_id, depends_on_id, satisfied
    FROM swarm_task_dependencies
    WHERE tenant_id = ANY ($1::text[]) AND swarm_id = ANY ($2::text[]) AND depends_on_id = ANY ($3::text[])
    UNION
    SELECT d.tenant_id, d.swarm_id, d.task_id, d.depends_on_id, d.satisfied
    FROM reached r
    JOIN swarm_task_dependencies d
        ON d.tenant_id = r.tenant_id AND d.swarm_id = r.swarm_id AND d.depends_on_id = r.task_id
)
SELECT tenant_id, swarm_id, task_id, depends_on_id, satisfied
FROM reached

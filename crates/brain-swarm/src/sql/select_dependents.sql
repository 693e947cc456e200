-- The edges to tasks that wait for one of these.
SELECT d.tenant_id, d.swarm_id, d.task_id, d.depends_on_id, d.satisfied
FROM swarm_task_dependencies d
WHERE d.tenant_id = ANY ($1::text[]) AND d.swarm_id = ANY ($2::text[]) AND d.depends_on_id = ANY ($3::text[])

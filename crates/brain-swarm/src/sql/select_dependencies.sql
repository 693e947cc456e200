-- The edges from these tasks to what they wait for. As it is written no index but the one on task_id serves it.
SELECT d.tenant_id, d.swarm_id, d.task_id, d.depends_on_id, d.satisfied
FROM swarm_task_dependencies d
WHERE d.task_id = ANY ($3::text[]) AND (d.swarm_id || '') = ANY ($2::text[]) AND (d.tenant_id || '') = ANY ($1::text[])

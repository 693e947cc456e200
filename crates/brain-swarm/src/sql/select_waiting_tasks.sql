-- The tasks at the other end of those edges.
SELECT t.*
FROM swarm_task_dependencies d
JOIN swarm_tasks t ON t.tenant_id = d.tenant_id AND t.swarm_id = d.swarm_id AND t.task_id = d.task_id
WHERE d.tenant_id = ANY ($1::text[]) AND d.swarm_id = ANY ($2::text[]) AND d.depends_on_id = ANY ($3::text[])

-- The rows are there; a conflict is the surest way to find each by its key.
INSERT INTO swarm_task_dependencies (tenant_id, swarm_id, task_id, depends_on_id)
SELECT tenant_id, swarm_id, task_id, depends_on_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS done(tenant_id, swarm_id, task_id, depends_on_id)
ON CONFLICT (tenant_id, swarm_id, depends_on_id, task_id) DO UPDATE
SET satisfied = true

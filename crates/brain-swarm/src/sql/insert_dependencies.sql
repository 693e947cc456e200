INSERT INTO swarm_task_dependencies (tenant_id, swarm_id, task_id, depends_on_id, satisfied)
SELECT tenant_id, swarm_id, task_id, depends_on_id, satisfied
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[])
    AS new(tenant_id, swarm_id, task_id, depends_on_id, satisfied)

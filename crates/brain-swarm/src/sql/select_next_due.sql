-- When something will be ready to be handed out although nothing happens, for each swarm.
SELECT wanted.tenant_id, wanted.swarm_id, LEAST(
    (SELECT run_at
     FROM swarm_tasks
     WHERE tenant_id = wanted.tenant_id AND swarm_id = wanted.swarm_id AND status = 'created' AND waiting_for = 'time'
     ORDER BY run_at
     LIMIT 1),
    (SELECT lease_expires_at
     FROM swarm_tasks
     WHERE tenant_id = wanted.tenant_id AND swarm_id = wanted.swarm_id AND lease_expires_at IS NOT NULL
     ORDER BY lease_expires_at
     LIMIT 1)) AS due
FROM unnest($1::text[], $2::text[]) AS wanted(tenant_id, swarm_id)

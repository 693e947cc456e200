SELECT t.tenant_id, t.swarm_id, t.task_id, t.run_id, t.status, t.assigned_agent_id, t.wanted_role, t.wanted_capability,
    t.priority, t.attempt, t.max_attempts, t.created_event_id
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted(tenant_id, swarm_id, task_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM swarm_tasks
    WHERE tenant_id = wanted.tenant_id AND swarm_id = wanted.swarm_id AND task_id = wanted.task_id
    LIMIT 1) t

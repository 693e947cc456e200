-- Of several swarms this may find more than was asked for; the caller looks by the whole key.
SELECT tenant_id, swarm_id, task_id, run_id, status, assigned_agent_id, wanted_role, wanted_capability, priority, attempt,
    max_attempts, created_event_id
FROM swarm_tasks
WHERE tenant_id = ANY ($1::text[]) AND swarm_id = ANY ($2::text[]) AND task_id = ANY ($3::text[])

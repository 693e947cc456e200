SELECT task_id, swarm_id, run_id, status, assigned_agent_id, wanted_role, wanted_capability, priority, attempt, max_attempts,
    inputs, outputs, error, created_event_id, terminal_event_id, created_at, updated_at
FROM swarm_tasks
WHERE tenant_id = $1 AND swarm_id = $2 AND task_id = $3

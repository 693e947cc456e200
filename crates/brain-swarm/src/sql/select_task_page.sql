SELECT task_id, swarm_id, run_id, status, assigned_agent_id, wanted_role, wanted_capability, priority, attempt, max_attempts,
    inputs, outputs, error, created_event_id, terminal_event_id, created_at, updated_at, waiting_for, run_at, lease_expires_at,
    concurrency_key, parent_task_id, budget_id, unmet_dependencies, on_dependency_failure, progress, started_at, wanted_agent_id
FROM swarm_tasks
WHERE tenant_id = $1 AND swarm_id = $2 AND ($3::text IS NULL OR run_id = $3) AND ($4::text IS NULL OR status = $4)
    AND ($5::text IS NULL OR assigned_agent_id = $5) AND task_id > $6
ORDER BY task_id
LIMIT $7

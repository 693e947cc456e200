SELECT task_id, swarm_id, run_id, status, assigned_agent_id, wanted_role, wanted_capability, priority, attempt, max_attempts,
    inputs, outputs, error, created_event_id, terminal_event_id, created_at, updated_at, waiting_for, run_at, lease_expires_at,
    concurrency_key, parent_task_id, budget_id, unmet_dependencies, on_dependency_failure, progress, started_at, wanted_agent_id,
    history,
    ARRAY(
        SELECT depends_on_id
        FROM swarm_task_dependencies d
        WHERE d.tenant_id = t.tenant_id AND d.swarm_id = t.swarm_id AND d.task_id = t.task_id
        ORDER BY depends_on_id) AS depends_on
FROM swarm_tasks t
WHERE tenant_id = $1 AND swarm_id = $2 AND task_id = $3

-- The rows are there; a conflict is the surest way to find each by its key.
INSERT INTO swarm_tasks (tenant_id, swarm_id, task_id, run_id, status, assigned_agent_id, attempt, max_attempts, outputs, error,
    created_event_id, terminal_event_id)
SELECT tenant_id, swarm_id, task_id, run_id, status, assigned_agent_id, attempt, max_attempts, outputs::jsonb, error,
    created_event_id, terminal_event_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::int[], $9::text[], $10::text[],
    $11::text[], $12::text[])
    AS new(tenant_id, swarm_id, task_id, run_id, status, assigned_agent_id, attempt, max_attempts, outputs, error,
        created_event_id, terminal_event_id)
ON CONFLICT (tenant_id, swarm_id, task_id) DO UPDATE
SET status = EXCLUDED.status, assigned_agent_id = EXCLUDED.assigned_agent_id, attempt = EXCLUDED.attempt,
    outputs = COALESCE(EXCLUDED.outputs, swarm_tasks.outputs), error = EXCLUDED.error,
    terminal_event_id = EXCLUDED.terminal_event_id, updated_at = clock_timestamp()

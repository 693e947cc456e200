-- One row for each task, with the columns that a program needs which hands tasks out by itself.
INSERT INTO swarm_tasks (tenant_id, swarm_id, task_id, run_id, status, assigned_agent_id, wanted_role, wanted_capability,
    priority, attempt, max_attempts, inputs, outputs, error, created_event_id, terminal_event_id, created_at, updated_at)
SELECT tenant_id, swarm_id, task_id, run_id, status, assigned_agent_id, wanted_role, wanted_capability,
    priority, attempt, max_attempts, COALESCE(inputs::jsonb, '{}'), outputs::jsonb, error, created_event_id, terminal_event_id,
    clock_timestamp(), clock_timestamp()
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::smallint[], $10::int[], $11::int[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[])
    AS new(tenant_id, swarm_id, task_id, run_id, status, assigned_agent_id, wanted_role, wanted_capability,
        priority, attempt, max_attempts, inputs, outputs, error, created_event_id, terminal_event_id)

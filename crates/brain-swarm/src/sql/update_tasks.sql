UPDATE swarm_tasks t
SET status = new.status, assigned_agent_id = new.assigned_agent_id, attempt = new.attempt,
    outputs = COALESCE(new.outputs::jsonb, t.outputs), error = new.error, terminal_event_id = new.terminal_event_id,
    updated_at = clock_timestamp()
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[], $9::text[])
    AS new(tenant_id, swarm_id, task_id, status, assigned_agent_id, attempt, outputs, error, terminal_event_id)
WHERE t.tenant_id = new.tenant_id AND t.swarm_id = new.swarm_id AND t.task_id = new.task_id

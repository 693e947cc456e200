-- A heartbeat may have renewed a lease meanwhile: it keeps what it was promised.
UPDATE swarm_tasks t
SET
    status = new.status, waiting_for = new.waiting_for, run_at = new.run_at, assigned_agent_id = new.assigned_agent_id,
    attempt = new.attempt, max_attempts = new.max_attempts, fencing_token = new.fencing_token, lease_ms = new.lease_ms,
    lease_expires_at = CASE
        WHEN new.fencing_token = t.fencing_token AND new.lease_expires_at IS NOT NULL
            THEN GREATEST(new.lease_expires_at, t.lease_expires_at)
        ELSE new.lease_expires_at END,
    reserved_units = new.reserved_units, unmet_dependencies = new.unmet_dependencies,
    outputs = COALESCE(new.outputs::jsonb, t.outputs),
    error = CASE WHEN new.status = t.status THEN COALESCE(new.error, t.error) ELSE new.error END,
    progress = COALESCE(new.progress::jsonb, t.progress),
    history = CASE
        WHEN new.history IS NULL THEN t.history
        ELSE COALESCE(t.history, '[]') || new.history::jsonb END,
    started_at = new.started_at, terminal_event_id = new.terminal_event_id, updated_at = clock_timestamp()
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::int[],
    $10::int[], $11::bigint[], $12::int[], $13::timestamptz[], $14::bigint[], $15::int[], $16::text[], $17::text[], $18::text[],
    $19::text[], $20::timestamptz[], $21::text[], $22::text[]) AS new(
    tenant_id, swarm_id, task_id, run_id, status, waiting_for, run_at, assigned_agent_id, attempt, max_attempts, fencing_token,
    lease_ms, lease_expires_at, reserved_units, unmet_dependencies, outputs, error, progress, history, started_at,
    created_event_id, terminal_event_id)
WHERE t.tenant_id = new.tenant_id AND t.swarm_id = new.swarm_id AND t.task_id = new.task_id

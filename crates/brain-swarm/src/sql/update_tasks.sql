-- The rows are there; a conflict is the surest way to find each by its key. A heartbeat may have renewed a lease meanwhile: it
-- keeps what it was promised.
INSERT INTO swarm_tasks (
    tenant_id, swarm_id, task_id, run_id, status, waiting_for, run_at, assigned_agent_id, attempt, max_attempts, fencing_token,
    lease_ms, lease_expires_at, reserved_units, unmet_dependencies, outputs, error, progress, history, started_at,
    created_event_id, terminal_event_id)
SELECT
    tenant_id, swarm_id, task_id, run_id, status, waiting_for, run_at, assigned_agent_id, attempt, max_attempts, fencing_token,
    lease_ms, lease_expires_at, reserved_units, unmet_dependencies, outputs::jsonb, error, progress::jsonb, history::jsonb,
    started_at, created_event_id, terminal_event_id
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::int[],
    $10::int[], $11::bigint[], $12::int[], $13::timestamptz[], $14::bigint[], $15::int[], $16::text[], $17::text[], $18::text[],
    $19::text[], $20::timestamptz[], $21::text[], $22::text[]) AS new(
    tenant_id, swarm_id, task_id, run_id, status, waiting_for, run_at, assigned_agent_id, attempt, max_attempts, fencing_token,
    lease_ms, lease_expires_at, reserved_units, unmet_dependencies, outputs, error, progress, history, started_at,
    created_event_id, terminal_event_id)
ON CONFLICT (tenant_id, swarm_id, task_id) DO UPDATE
SET
    status = EXCLUDED.status, waiting_for = EXCLUDED.waiting_for, run_at = EXCLUDED.run_at,
    assigned_agent_id = EXCLUDED.assigned_agent_id, attempt = EXCLUDED.attempt, max_attempts = EXCLUDED.max_attempts,
    fencing_token = EXCLUDED.fencing_token, lease_ms = EXCLUDED.lease_ms,
    lease_expires_at = CASE
        WHEN EXCLUDED.fencing_token = swarm_tasks.fencing_token AND EXCLUDED.lease_expires_at IS NOT NULL
            THEN GREATEST(EXCLUDED.lease_expires_at, swarm_tasks.lease_expires_at)
        ELSE EXCLUDED.lease_expires_at END,
    reserved_units = EXCLUDED.reserved_units, unmet_dependencies = EXCLUDED.unmet_dependencies,
    outputs = COALESCE(EXCLUDED.outputs, swarm_tasks.outputs),
    error = CASE WHEN EXCLUDED.status = swarm_tasks.status THEN COALESCE(EXCLUDED.error, swarm_tasks.error) ELSE EXCLUDED.error END,
    progress = COALESCE(EXCLUDED.progress, swarm_tasks.progress),
    history = CASE
        WHEN EXCLUDED.history IS NULL THEN swarm_tasks.history
        ELSE COALESCE(swarm_tasks.history, '[]') || EXCLUDED.history END,
    started_at = EXCLUDED.started_at, terminal_event_id = EXCLUDED.terminal_event_id, updated_at = clock_timestamp()

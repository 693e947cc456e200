INSERT INTO swarm_tasks (
    tenant_id, swarm_id, task_id, run_id, status, waiting_for, run_at, assigned_agent_id, attempt, max_attempts, fencing_token,
    lease_ms, lease_expires_at, reserved_units, unmet_dependencies, outputs, error, progress, history, started_at,
    created_event_id, terminal_event_id, wanted_role, wanted_capability, wanted_agent_id, priority, position, lane,
    concurrency_key, parent_task_id, budget_id, on_dependency_failure, backoff, inputs, correlation_id, runbook_id, traceparent,
    tracestate, created_at, updated_at)
SELECT
    tenant_id, swarm_id, task_id, run_id, status, waiting_for, run_at, assigned_agent_id, attempt, max_attempts, fencing_token,
    lease_ms, lease_expires_at, reserved_units, unmet_dependencies, outputs::jsonb, error, progress::jsonb, history::jsonb,
    started_at, created_event_id, terminal_event_id, wanted_role, wanted_capability, wanted_agent_id, priority, position, lane,
    concurrency_key, parent_task_id, budget_id, on_dependency_failure, backoff::jsonb, COALESCE(inputs::jsonb, '{}'),
    correlation_id, runbook_id, traceparent, tracestate, clock_timestamp(), clock_timestamp()
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::int[],
    $10::int[], $11::bigint[], $12::int[], $13::timestamptz[], $14::bigint[], $15::int[], $16::text[], $17::text[], $18::text[],
    $19::text[], $20::timestamptz[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[], $26::smallint[],
    $27::bigint[], $28::text[], $29::text[], $30::text[], $31::text[], $32::text[], $33::text[], $34::text[], $35::text[],
    $36::text[], $37::text[], $38::text[]) AS new(
    tenant_id, swarm_id, task_id, run_id, status, waiting_for, run_at, assigned_agent_id, attempt, max_attempts, fencing_token,
    lease_ms, lease_expires_at, reserved_units, unmet_dependencies, outputs, error, progress, history, started_at,
    created_event_id, terminal_event_id, wanted_role, wanted_capability, wanted_agent_id, priority, position, lane,
    concurrency_key, parent_task_id, budget_id, on_dependency_failure, backoff, inputs, correlation_id, runbook_id, traceparent,
    tracestate)

-- A task with its concurrency key, budget and run, as decisions need it. What follows are the columns of inputs and progress,
-- the tasks themselves, and the joins.
SELECT t.tenant_id, t.swarm_id, t.task_id, t.run_id, t.status, t.waiting_for, t.run_at, t.assigned_agent_id, t.wanted_agent_id,
    t.wanted_role, t.wanted_capability, t.priority, t.position, t.attempt, t.max_attempts, t.fencing_token, t.lease_ms,
    t.lease_expires_at, t.concurrency_key, t.parent_task_id, t.budget_id, t.reserved_units, t.unmet_dependencies,
    t.on_dependency_failure, t.backoff, t.created_event_id, t.correlation_id, t.runbook_id, t.traceparent, t.tracestate, t.started_at,
    k.max_held, k.held, k.ready, b.unit, b.max_units, b.reserved, b.spent, b.state, r.state, r.first_seq, r.tasks_created,
    r.tasks_completed, r.tasks_failed, r.tasks_cancelled,

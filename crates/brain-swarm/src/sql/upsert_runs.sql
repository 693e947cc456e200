INSERT INTO swarm_runs (tenant_id, swarm_id, run_id, state, first_seq, tasks_created, tasks_completed, tasks_failed, tasks_cancelled,
    summary, started_at, finished_at)
SELECT tenant_id, swarm_id, run_id, state, first_seq, tasks_created, tasks_completed, tasks_failed, tasks_cancelled,
    summary::jsonb, started_at, finished_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
    $10::text[], $11::timestamptz[], $12::timestamptz[])
    AS new(tenant_id, swarm_id, run_id, state, first_seq, tasks_created, tasks_completed, tasks_failed, tasks_cancelled, summary,
        started_at, finished_at)
ON CONFLICT (tenant_id, swarm_id, run_id) DO UPDATE
SET state = EXCLUDED.state, tasks_created = EXCLUDED.tasks_created, tasks_completed = EXCLUDED.tasks_completed,
    tasks_failed = EXCLUDED.tasks_failed, tasks_cancelled = EXCLUDED.tasks_cancelled,
    summary = COALESCE(EXCLUDED.summary, swarm_runs.summary), started_at = COALESCE(swarm_runs.started_at, EXCLUDED.started_at),
    finished_at = CASE WHEN EXCLUDED.state = 'open' THEN NULL ELSE COALESCE(EXCLUDED.finished_at, swarm_runs.finished_at) END,
    updated_at = clock_timestamp()

SELECT run_id, swarm_id, state, tasks_created, tasks_completed, tasks_failed, tasks_cancelled, summary, started_at, finished_at,
    created_at, updated_at
FROM swarm_runs
WHERE tenant_id = $1 AND swarm_id = $2 AND ($3::text IS NULL OR run_id = $3) AND ($4::text IS NULL OR state = $4) AND run_id > $5
ORDER BY run_id
LIMIT $6

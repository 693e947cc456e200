SELECT tenant_id, swarm_id, run_id, state, first_seq, tasks_created, tasks_completed, tasks_failed, tasks_cancelled
FROM swarm_runs
WHERE tenant_id = ANY ($1::text[]) AND swarm_id = ANY ($2::text[]) AND run_id = ANY ($3::text[])

WITH held AS (
    SELECT tenant_id, swarm_id, assigned_agent_id AS agent_id, count(*) AS tasks
    FROM swarm_tasks
    WHERE status IN ('assigned', 'running')
    GROUP BY 1, 2, 3
), keyed AS (
    SELECT tenant_id, swarm_id, concurrency_key, count(*) FILTER (WHERE status IN ('assigned', 'running')) AS held,
        count(*) FILTER (WHERE status = 'created' AND waiting_for IS NULL) AS ready
    FROM swarm_tasks
    WHERE concurrency_key IS NOT NULL
    GROUP BY 1, 2, 3
), of_runs AS (
    SELECT tenant_id, swarm_id, run_id, count(*) AS tasks,
        count(*) FILTER (WHERE status IN ('created', 'assigned', 'running')) AS open
    FROM swarm_tasks
    GROUP BY 1, 2, 3
)
SELECT format('tenant %s, swarm %s: agent %s has load %s but holds %s tasks',
    a.tenant_id, a.swarm_id, a.agent_id, a.load, COALESCE(held.tasks, 0))
FROM swarm_agents a
LEFT JOIN held USING (tenant_id, swarm_id, agent_id)
WHERE a.load <> COALESCE(held.tasks, 0)
UNION ALL
SELECT format('tenant %s, swarm %s: task %s was started %s times of at most %s',
    tenant_id, swarm_id, task_id, attempt, max_attempts)
FROM swarm_tasks
WHERE attempt > max_attempts
UNION ALL
SELECT format('tenant %s, swarm %s: concurrency key %s counts %s held and %s ready of at most %s, but there are %s and %s',
    k.tenant_id, k.swarm_id,
    k.concurrency_key, k.held, k.ready, k.max_held, COALESCE(keyed.held, 0), COALESCE(keyed.ready, 0))
FROM swarm_concurrency k
LEFT JOIN keyed USING (tenant_id, swarm_id, concurrency_key)
WHERE k.held <> COALESCE(keyed.held, 0) OR k.ready <> COALESCE(keyed.ready, 0)
UNION ALL
SELECT format('tenant %s, swarm %s: run %s counts %s tasks of which %s are open, but there are %s and %s',
    r.tenant_id, r.swarm_id, r.run_id,
    r.tasks_created, r.tasks_created - r.tasks_completed - r.tasks_failed - r.tasks_cancelled,
    COALESCE(of_runs.tasks, 0) + r.tasks_pruned, COALESCE(of_runs.open, 0))
FROM swarm_runs r
LEFT JOIN of_runs USING (tenant_id, swarm_id, run_id)
WHERE r.tasks_created <> COALESCE(of_runs.tasks, 0) + r.tasks_pruned
    OR r.tasks_created - r.tasks_completed - r.tasks_failed - r.tasks_cancelled <> COALESCE(of_runs.open, 0)

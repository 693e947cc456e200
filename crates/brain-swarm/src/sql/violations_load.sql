SELECT format('swarm %s: agent %s has load %s but holds %s tasks', a.swarm_id, a.agent_id, a.load, held.tasks)
FROM swarm_agents a
CROSS JOIN LATERAL (
    SELECT count(*) AS tasks
    FROM swarm_tasks t
    WHERE t.tenant_id = a.tenant_id AND t.swarm_id = a.swarm_id AND t.assigned_agent_id = a.agent_id
        AND t.status IN ('assigned', 'running')) held
WHERE a.load <> held.tasks
UNION ALL
SELECT format('swarm %s: task %s was started %s times of at most %s', swarm_id, task_id, attempt, max_attempts)
FROM swarm_tasks
WHERE attempt > max_attempts
UNION ALL
SELECT format('swarm %s: concurrency key %s counts %s held and %s ready of at most %s, but there are %s and %s', k.swarm_id,
    k.concurrency_key, k.held, k.ready, k.max_held, counted.held, counted.ready)
FROM swarm_concurrency k
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE t.status IN ('assigned', 'running')) AS held,
        count(*) FILTER (WHERE t.status = 'created' AND t.waiting_for IS NULL) AS ready
    FROM swarm_tasks t
    WHERE t.tenant_id = k.tenant_id AND t.swarm_id = k.swarm_id AND t.concurrency_key = k.concurrency_key) counted
WHERE k.held <> counted.held OR k.ready <> counted.ready
UNION ALL
SELECT format('swarm %s: run %s counts %s tasks of which %s are open, but there are %s and %s', r.swarm_id, r.run_id,
    r.tasks_created, r.tasks_created - r.tasks_completed - r.tasks_failed - r.tasks_cancelled,
    counted.tasks + r.tasks_pruned, counted.open)
FROM swarm_runs r
CROSS JOIN LATERAL (
    SELECT count(*) AS tasks, count(*) FILTER (WHERE t.status IN ('created', 'assigned', 'running')) AS open
    FROM swarm_tasks t
    WHERE t.tenant_id = r.tenant_id AND t.swarm_id = r.swarm_id AND t.run_id = r.run_id) counted
WHERE r.tasks_created <> counted.tasks + r.tasks_pruned
    OR r.tasks_created - r.tasks_completed - r.tasks_failed - r.tasks_cancelled <> counted.open

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

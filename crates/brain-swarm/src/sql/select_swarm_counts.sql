-- What is open, and who is there. Each is counted up to a limit only; the partial index of what is open serves the tasks.
SELECT 'task' AS kind, status AS word, count(*) AS number
FROM (
    SELECT status
    FROM swarm_tasks
    WHERE tenant_id = $1 AND swarm_id = $2 AND status IN ('created', 'assigned', 'running')
    LIMIT $3) open
GROUP BY status
UNION ALL
SELECT 'agent', CASE WHEN draining AND status = 'live' THEN 'draining' ELSE status END, count(*)
FROM (
    SELECT status, draining
    FROM swarm_agents
    WHERE tenant_id = $1 AND swarm_id = $2
    LIMIT $3) agents
GROUP BY 2
UNION ALL
SELECT 'letter', 'parked', count(*)
FROM (
    SELECT 1
    FROM swarm_dead_letters
    WHERE tenant_id = $1 AND status = 'parked'
    LIMIT $3) letters
UNION ALL
SELECT 'task', ended.word, ended.number
FROM (
    SELECT sum(tasks_completed)::bigint AS completed, sum(tasks_failed)::bigint AS failed, sum(tasks_cancelled)::bigint AS cancelled
    FROM (
        SELECT tasks_completed, tasks_failed, tasks_cancelled
        FROM swarm_runs
        WHERE tenant_id = $1 AND swarm_id = $2
        LIMIT $3) runs) totals
CROSS JOIN LATERAL (VALUES ('completed', completed), ('failed', failed), ('cancelled', cancelled)) AS ended (word, number)
WHERE ended.number IS NOT NULL

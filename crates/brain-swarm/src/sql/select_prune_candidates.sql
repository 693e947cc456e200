-- The oldest events of a swarm. A task that an event speaks of holds it while it is open; with the event that ended a task the
-- task goes too, so both wait until the task is old and no open task depends on it.
SELECT e.seq, e.stored_at, e.stream_entry_id,
    t.task_id IS NOT NULL
    AND (
        t.status IN ('created', 'assigned', 'running')
        OR t.terminal_event_id = e.event_id
        AND (
            t.updated_at >= $5
            OR EXISTS (
                SELECT 1
                FROM swarm_task_dependencies d
                JOIN swarm_tasks waiting ON waiting.tenant_id = d.tenant_id AND waiting.swarm_id = d.swarm_id
                    AND waiting.task_id = d.task_id
                WHERE d.tenant_id = $1 AND d.swarm_id = $2 AND d.depends_on_id = t.task_id
                    AND waiting.status IN ('created', 'assigned', 'running')))) AS held,
    CASE WHEN t.terminal_event_id = e.event_id THEN t.task_id END AS ended
FROM (
    SELECT seq, event_id, payload ->> 'taskId' AS task_id, stored_at, stream_entry_id
    FROM swarm_events
    WHERE tenant_id = $1 AND swarm_id = $2 AND seq > $3 AND seq < $4
    ORDER BY seq
    LIMIT $6) e
LEFT JOIN LATERAL (
    SELECT task_id, status, terminal_event_id, updated_at
    FROM swarm_tasks
    WHERE tenant_id = $1 AND swarm_id = $2 AND task_id = e.task_id
    LIMIT 1) t ON true
ORDER BY e.seq

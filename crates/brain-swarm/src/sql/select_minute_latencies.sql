-- How long tasks took from their creation to their end, by the minute in which they ended: a sample of the newest events of each.
SELECT m.place, count(*) AS ended, count(*) FILTER (WHERE t.status = 'completed') AS completed,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM e.stored_at - t.created_at)::float8) AS p95
FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY AS m (first, next, place)
CROSS JOIN LATERAL (
    SELECT event_id, payload ->> 'taskId' AS task_id, stored_at
    FROM swarm_events
    WHERE tenant_id = $1 AND swarm_id = $2 AND seq >= m.first AND seq < m.next
    ORDER BY seq DESC
    LIMIT $5) e
JOIN swarm_tasks t ON t.tenant_id = $1 AND t.swarm_id = $2 AND t.task_id = e.task_id AND t.terminal_event_id = e.event_id
GROUP BY m.place
ORDER BY m.place

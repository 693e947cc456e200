-- Events that were published and are not stored exactly once, and stored ones that nobody published.
SELECT CASE WHEN published.event_id IS NULL THEN format('event %s is stored but was never published', stored.event_id)
            ELSE format('event %s of task %s is stored %s times', published.event_id, published.task_id, coalesce(stored.times, 0))
       END
FROM unnest($2::text[], $3::text[]) AS published (event_id, task_id)
FULL JOIN (SELECT event_id, count(*) AS times
           FROM swarm_events
           WHERE tenant_id = 'default' AND swarm_id = $1 AND event_type = 'task.created'
           GROUP BY event_id) AS stored ON stored.event_id = published.event_id
WHERE published.event_id IS NULL OR stored.times IS DISTINCT FROM 1
ORDER BY 1

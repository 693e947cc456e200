SELECT count(*) FILTER (WHERE event_type = 'task.created'),
       count(*) FILTER (WHERE event_type = 'task.assigned')
FROM swarm_events
WHERE tenant_id = 'default' AND swarm_id = $1

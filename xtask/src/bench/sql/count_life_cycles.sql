-- Completed tasks, and events of each kind that belong to them.
SELECT
    (SELECT count(*) FROM swarm_tasks WHERE status = 'completed') AS completed,
    count(*) FILTER (WHERE event_type = 'task.created') AS created_events,
    count(*) FILTER (WHERE event_type = 'task.started') AS started_events,
    count(*) FILTER (WHERE event_type = 'task.completed') AS completed_events
FROM swarm_events

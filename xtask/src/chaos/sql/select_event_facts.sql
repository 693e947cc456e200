-- Every event about a task; one with a note changed nothing.
SELECT seq, event_type, payload ->> 'taskId' AS task_id, (payload ->> 'fencingToken')::bigint AS token,
    note IS NULL AS took_effect, (extract(epoch FROM stored_at) * 1000000)::bigint AS stored_at
FROM swarm_events
WHERE event_type IN ('task.created', 'task.started', 'task.completed', 'task.failed', 'task.cancelled')
    AND payload ? 'taskId'

-- Retention removes a task together with the event that ended it, so neither is ever missed here.
SELECT format('tenant %s, swarm %s: task %s is %s, but its terminal event %s is missing or of another kind',
    t.tenant_id, t.swarm_id, t.task_id, t.status, t.terminal_event_id)
FROM swarm_tasks t
WHERE t.status IN ('completed', 'failed', 'cancelled')
    AND NOT EXISTS (
        SELECT 1 FROM swarm_events e
        WHERE e.tenant_id = t.tenant_id AND e.swarm_id = t.swarm_id AND e.event_id = t.terminal_event_id
            AND e.event_type = 'task.' || t.status AND e.payload ->> 'taskId' = t.task_id AND e.note IS NULL)
UNION ALL
SELECT format('tenant %s, swarm %s: event %s (%s) took effect on task %s, which ended with %s',
    e.tenant_id, e.swarm_id, e.event_id, e.event_type,
    e.payload ->> 'taskId', COALESCE(t.terminal_event_id, 'no event'))
FROM swarm_events e
LEFT JOIN swarm_tasks t ON t.tenant_id = e.tenant_id AND t.swarm_id = e.swarm_id AND t.task_id = e.payload ->> 'taskId'
WHERE e.event_type IN ('task.completed', 'task.failed', 'task.cancelled') AND e.note IS NULL
    AND t.terminal_event_id IS DISTINCT FROM e.event_id
    -- A task that was retried by hand has ended before.
    AND NOT EXISTS (
        SELECT 1 FROM swarm_events retry
        WHERE retry.tenant_id = e.tenant_id AND retry.swarm_id = e.swarm_id AND retry.seq > e.seq
            AND retry.event_type = 'task.retrying' AND retry.actor_id <> 'studio-brain' AND retry.note IS NULL
            AND retry.payload ->> 'taskId' = e.payload ->> 'taskId')

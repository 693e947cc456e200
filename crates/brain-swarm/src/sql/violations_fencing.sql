-- Each start of a task has a larger token than the one before, and none is larger than the task's own.
SELECT format('tenant %s, swarm %s: task %s was started with token %s after token %s (event %s)',
    tenant_id, swarm_id, task_id, token, earlier, event_id)
FROM (
    SELECT tenant_id, swarm_id, event_id, payload ->> 'taskId' AS task_id, (payload ->> 'fencingToken')::bigint AS token,
        lag((payload ->> 'fencingToken')::bigint) OVER (PARTITION BY tenant_id, swarm_id, payload ->> 'taskId' ORDER BY seq) AS earlier
    FROM swarm_events
    WHERE event_type = 'task.started') starts
WHERE token <= earlier
UNION ALL
SELECT format('tenant %s, swarm %s: task %s has token %s, but was started with token %s',
    t.tenant_id, t.swarm_id, t.task_id, t.fencing_token, starts.token)
FROM swarm_tasks t
JOIN (
    SELECT tenant_id, swarm_id, payload ->> 'taskId' AS task_id, max((payload ->> 'fencingToken')::bigint) AS token
    FROM swarm_events
    WHERE event_type = 'task.started'
    GROUP BY 1, 2, 3) starts USING (tenant_id, swarm_id, task_id)
WHERE t.fencing_token < starts.token

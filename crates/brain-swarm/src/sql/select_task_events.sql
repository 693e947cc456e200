-- What names the task among the events after its creation, as far as one page looks, and the one that ended it, wherever it is.
SELECT e.seq, e.event_id, e.event_type, e.schema_version, e.run_id, e.actor_id, e.payload, e.correlation_id, e.causation_id,
    e.runbook_id, e.traceparent, e.tracestate, e.created_at, e.stored_at, e.note
FROM swarm_tasks t
CROSS JOIN LATERAL (
    (SELECT *
    FROM swarm_events
    WHERE tenant_id = $1 AND swarm_id = $2 AND seq >= t.position AND seq < t.position + $4 AND payload ->> 'taskId' = t.task_id
    ORDER BY seq
    LIMIT $5)
    UNION
    SELECT *
    FROM swarm_events
    WHERE event_id IN (t.created_event_id, t.terminal_event_id) AND swarm_id = $2 AND tenant_id = $1) e
WHERE t.tenant_id = $1 AND t.swarm_id = $2 AND t.task_id = $3
ORDER BY e.seq

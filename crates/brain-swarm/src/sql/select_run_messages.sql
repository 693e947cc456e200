SELECT seq, event_id, event_type, schema_version, run_id, actor_id, payload, correlation_id, causation_id, runbook_id,
    traceparent, tracestate, created_at, stored_at, note
FROM swarm_events
WHERE tenant_id = $1 AND swarm_id = $2 AND event_type = 'agent.message' AND payload ? 'toRunId' AND payload ->> 'toRunId' = $3
    AND seq > $4
ORDER BY seq
LIMIT $5

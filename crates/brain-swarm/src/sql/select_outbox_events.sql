SELECT seq, event_id, event_type, schema_version, run_id, actor_id, payload, correlation_id, causation_id, runbook_id,
    traceparent, tracestate, created_at
FROM swarm_events
WHERE tenant_id = $1 AND swarm_id = $2 AND seq BETWEEN $3 AND $4 AND stream_entry_id IS NULL
ORDER BY seq

SELECT seq, event_id, event_type, schema_version, run_id, actor_id, payload, correlation_id, causation_id, runbook_id,
    traceparent, tracestate, created_at, stored_at, note
FROM swarm_events
WHERE tenant_id = $1 AND swarm_id = $2 AND seq > $3 AND seq <= $4
    AND ($5::text IS NULL OR run_id = $5) AND ($6::text IS NULL OR event_type = $6) AND ($7::text IS NULL OR actor_id = $7)
ORDER BY seq
LIMIT $8

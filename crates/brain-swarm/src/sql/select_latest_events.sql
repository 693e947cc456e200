-- The newest events first. One statement, so that the page and the numbers beside it are of one moment.
SELECT e.seq, e.event_id, e.event_type, e.schema_version, e.run_id, e.actor_id, e.payload, e.correlation_id, e.causation_id,
    e.runbook_id, e.traceparent, e.tracestate, e.created_at, e.stored_at, e.note, s.last_seq, s.pruned_seq
FROM swarm_sequences s
LEFT JOIN LATERAL (
    SELECT *
    FROM swarm_events
    WHERE tenant_id = $1 AND swarm_id = $2 AND seq < LEAST($3, s.last_seq + 1) AND seq >= LEAST($3, s.last_seq + 1) - $4
        AND ($5::text IS NULL OR run_id = $5) AND ($6::text IS NULL OR event_type = $6) AND ($7::text IS NULL OR actor_id = $7)
    ORDER BY seq DESC
    LIMIT $8) e ON true
WHERE s.tenant_id = $1 AND s.swarm_id = $2
ORDER BY e.seq DESC

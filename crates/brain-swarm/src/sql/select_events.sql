-- One statement, so that the page, the newest number and the number up to which all is gone are of one moment. A swarm without
-- events on the page has one row without an event.
SELECT e.seq, e.event_id, e.event_type, e.schema_version, e.run_id, e.actor_id, e.payload, e.correlation_id, e.causation_id,
    e.runbook_id, e.traceparent, e.tracestate, e.created_at, e.stored_at, e.note, s.last_seq, s.pruned_seq
FROM swarm_sequences s
LEFT JOIN LATERAL (
    SELECT *
    FROM swarm_events
    WHERE tenant_id = $1 AND swarm_id = $2
        AND seq > LEAST(GREATEST($3, s.pruned_seq), s.last_seq) AND seq <= LEAST(GREATEST($3, s.pruned_seq), s.last_seq) + $4
        AND ($5::text IS NULL OR run_id = $5) AND ($6::text IS NULL OR event_type = $6) AND ($7::text IS NULL OR actor_id = $7)
    ORDER BY seq
    LIMIT $8) e ON true
WHERE s.tenant_id = $1 AND s.swarm_id = $2
ORDER BY e.seq

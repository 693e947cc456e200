-- One look into the index for each id, whatever the planner thinks of the size of the table: hence LATERAL and LIMIT.
SELECT e.tenant_id, e.swarm_id, e.event_id, e.seq, e.stream_entry_id
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted(tenant_id, swarm_id, event_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM swarm_events
    WHERE tenant_id = wanted.tenant_id AND swarm_id = wanted.swarm_id AND event_id = wanted.event_id
    LIMIT 1) e

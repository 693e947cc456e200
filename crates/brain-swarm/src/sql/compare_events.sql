-- Whether a stored event says the same; the database compares, so that 1e2 equals 100.
SELECT wanted.ordinal, e.event_type = wanted.event_type AND e.run_id = wanted.run_id
    AND e.actor_id = wanted.actor_id AND e.payload = wanted.payload::jsonb AS same
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS wanted(tenant_id, swarm_id, seq, ordinal, event_type, run_id, actor_id, payload)
CROSS JOIN LATERAL (
    SELECT *
    FROM swarm_events
    WHERE tenant_id = wanted.tenant_id AND swarm_id = wanted.swarm_id AND seq = wanted.seq
    LIMIT 1) e

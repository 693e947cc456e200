-- Which of these claims of the relay are true.
SELECT claim.ordinal
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::int[]) AS claim(tenant_id, swarm_id, seq, event_id, ordinal)
CROSS JOIN LATERAL (
    SELECT event_id
    FROM swarm_events
    WHERE tenant_id = claim.tenant_id AND swarm_id = claim.swarm_id AND seq = claim.seq
    LIMIT 1) e
WHERE e.event_id = claim.event_id

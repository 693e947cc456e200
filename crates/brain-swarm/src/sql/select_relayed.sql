-- Which of these claims of the relay are true.
SELECT claim.ordinal
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[]) AS claim(swarm_id, seq, event_id, ordinal)
CROSS JOIN LATERAL (
    SELECT event_id
    FROM swarm_events
    WHERE tenant_id = $5 AND swarm_id = claim.swarm_id AND seq = claim.seq
    LIMIT 1) e
WHERE e.event_id = claim.event_id

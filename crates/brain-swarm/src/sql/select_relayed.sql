-- Which of these claims of the relay are true.
SELECT claim.ordinal
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[]) AS claim(swarm_id, seq, event_id, ordinal)
JOIN swarm_events e ON e.tenant_id = $5 AND e.swarm_id = claim.swarm_id AND e.seq = claim.seq AND e.event_id = claim.event_id

-- Which of these entries of stream $1 are neither an event nor a dead letter, nor, as the relay wrote them, a pruned event.
SELECT entry.id
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) AS entry(id, tenant_id, swarm_id, event_id, seq)
WHERE NOT EXISTS (
        SELECT 1 FROM swarm_events e
        WHERE e.tenant_id = entry.tenant_id AND e.swarm_id = entry.swarm_id AND e.event_id = entry.event_id)
    AND NOT EXISTS (
        SELECT 1 FROM swarm_dead_letters d
        WHERE d.stream_name = $1 AND d.entry_id = entry.id)
    AND NOT EXISTS (
        SELECT 1 FROM swarm_sequences s
        WHERE s.tenant_id = entry.tenant_id AND s.swarm_id = entry.swarm_id AND s.pruned_seq >= entry.seq)

SELECT format('swarm %s: event %s (%s) names cause %s, which is not stored', d.swarm_id, d.event_id, d.event_type, d.causation_id)
FROM swarm_events d
WHERE d.actor_id = 'studio-brain' AND d.causation_id IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM swarm_events c
        WHERE c.tenant_id = d.tenant_id AND c.swarm_id = d.swarm_id AND c.event_id = d.causation_id AND c.seq < d.seq)

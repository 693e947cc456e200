-- That nothing is missing after pruned_seq is the first invariant; so a missing cause was pruned, or was never there. It cannot have
-- been pruned when the event is about a task that came later: what happens to a task has no cause from before it.
SELECT format('tenant %s, swarm %s: event %s (%s) names cause %s, which is not stored',
    d.tenant_id, d.swarm_id, d.event_id, d.event_type, d.causation_id)
FROM swarm_events d
WHERE d.actor_id = 'studio-brain' AND d.causation_id IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM swarm_events c
        WHERE c.tenant_id = d.tenant_id AND c.swarm_id = d.swarm_id AND c.event_id = d.causation_id AND c.seq < d.seq)
    AND NOT EXISTS (
        SELECT 1 FROM swarm_sequences s
        WHERE s.tenant_id = d.tenant_id AND s.swarm_id = d.swarm_id AND s.pruned_seq > 0
            AND (
                d.event_type = 'task.created'
                OR NOT EXISTS (
                    SELECT 1 FROM swarm_tasks t
                    WHERE t.tenant_id = d.tenant_id AND t.swarm_id = d.swarm_id AND t.task_id = d.payload ->> 'taskId'
                        AND t.position > s.pruned_seq)))

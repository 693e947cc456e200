-- A page of the swarms, and what of each is old: one probe of an index for each question.
SELECT s.tenant_id, s.swarm_id,
    EXISTS (
        SELECT 1 FROM swarm_events e
        WHERE e.tenant_id = s.tenant_id AND e.swarm_id = s.swarm_id AND e.seq = s.pruned_seq + 1 AND e.stored_at < $3),
    EXISTS (
        SELECT 1 FROM swarm_runs r
        WHERE r.tenant_id = s.tenant_id AND r.swarm_id = s.swarm_id AND r.state <> 'open' AND r.finished_at < $3)
    OR EXISTS (
        SELECT 1 FROM swarm_runs r
        WHERE r.tenant_id = s.tenant_id AND r.swarm_id = s.swarm_id AND r.state = 'open' AND r.first_seq <= s.pruned_seq),
    EXISTS (
        SELECT 1 FROM swarm_budgets b
        WHERE b.tenant_id = s.tenant_id AND b.swarm_id = s.swarm_id AND b.created_at < $3)
FROM (
    SELECT tenant_id, swarm_id, pruned_seq
    FROM swarm_sequences
    WHERE (tenant_id, swarm_id) > ($1, $2)
    ORDER BY tenant_id, swarm_id
    LIMIT $4) s
ORDER BY s.tenant_id, s.swarm_id

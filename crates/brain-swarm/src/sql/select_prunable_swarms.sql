-- A page of the swarms, and what of each is old: a walk down an index for each question.
SELECT s.tenant_id, s.swarm_id, event.found IS NOT NULL, ended.found IS NOT NULL OR abandoned.found IS NOT NULL,
    budget.found IS NOT NULL
FROM (
    SELECT tenant_id, swarm_id, pruned_seq
    FROM swarm_sequences
    WHERE (tenant_id, swarm_id) > ($1, $2)
    ORDER BY tenant_id, swarm_id
    LIMIT $4) s
LEFT JOIN LATERAL (
    SELECT true AS found
    FROM swarm_events
    WHERE tenant_id = s.tenant_id AND swarm_id = s.swarm_id AND seq = s.pruned_seq + 1 AND stored_at < $3
    LIMIT 1) event ON true
LEFT JOIN LATERAL (
    SELECT true AS found
    FROM swarm_runs
    WHERE tenant_id = s.tenant_id AND swarm_id = s.swarm_id AND state <> 'open' AND finished_at < $3
    LIMIT 1) ended ON true
LEFT JOIN LATERAL (
    SELECT true AS found
    FROM swarm_runs
    WHERE tenant_id = s.tenant_id AND swarm_id = s.swarm_id AND state = 'open' AND first_seq <= s.pruned_seq
    LIMIT 1) abandoned ON true
LEFT JOIN LATERAL (
    SELECT true AS found
    FROM swarm_budgets
    WHERE tenant_id = s.tenant_id AND swarm_id = s.swarm_id AND created_at < $3
    LIMIT 1) budget ON true
ORDER BY s.tenant_id, s.swarm_id

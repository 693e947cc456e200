) t
LEFT JOIN LATERAL (
    SELECT * FROM swarm_concurrency
    WHERE tenant_id = t.tenant_id AND swarm_id = t.swarm_id AND concurrency_key = t.concurrency_key
    LIMIT 1) k ON true
LEFT JOIN LATERAL (
    SELECT * FROM swarm_budgets
    WHERE tenant_id = t.tenant_id AND swarm_id = t.swarm_id AND budget_id = t.budget_id
    LIMIT 1) b ON true
LEFT JOIN LATERAL (
    SELECT * FROM swarm_runs
    WHERE tenant_id = t.tenant_id AND swarm_id = t.swarm_id AND run_id = t.run_id
    LIMIT 1) r ON true

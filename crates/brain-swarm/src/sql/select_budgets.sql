SELECT tenant_id, swarm_id, budget_id, unit, max_units, reserved, spent, state
FROM swarm_budgets
WHERE tenant_id = ANY ($1::text[]) AND swarm_id = ANY ($2::text[]) AND budget_id = ANY ($3::text[])

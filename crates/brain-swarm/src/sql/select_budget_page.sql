SELECT budget_id, swarm_id, unit, max_units, reserved, spent, state, created_at, updated_at
FROM swarm_budgets
WHERE tenant_id = $1 AND swarm_id = $2 AND ($3::text IS NULL OR budget_id = $3) AND ($4::text IS NULL OR state = $4)
    AND budget_id > $5
ORDER BY budget_id
LIMIT $6

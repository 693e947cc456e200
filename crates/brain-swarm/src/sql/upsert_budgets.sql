INSERT INTO swarm_budgets (tenant_id, swarm_id, budget_id, unit, max_units, reserved, spent, state)
SELECT tenant_id, swarm_id, budget_id, unit, max_units, reserved, spent, state
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[])
    AS new(tenant_id, swarm_id, budget_id, unit, max_units, reserved, spent, state)
ON CONFLICT (tenant_id, swarm_id, budget_id) DO UPDATE
SET max_units = EXCLUDED.max_units, reserved = EXCLUDED.reserved, spent = EXCLUDED.spent, state = EXCLUDED.state,
    updated_at = clock_timestamp()

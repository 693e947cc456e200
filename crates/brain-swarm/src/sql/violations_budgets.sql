SELECT format('swarm %s: budget %s counts %s reserved, but open reservations add up to %s', b.swarm_id, b.budget_id, b.reserved, open.units)
FROM swarm_budgets b
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(r.units), 0) AS units
    FROM swarm_budget_reservations r
    WHERE r.tenant_id = b.tenant_id AND r.swarm_id = b.swarm_id AND r.budget_id = b.budget_id AND r.settled IS NULL) open
WHERE b.reserved <> open.units
UNION ALL
SELECT format('swarm %s: budget %s of %s has spent %s and reserved %s', swarm_id, budget_id, max_units, spent, reserved)
FROM swarm_budgets
WHERE spent + reserved > max_units
UNION ALL
SELECT format('swarm %s: task %s counts %s reserved units, but its open reservations add up to %s', t.swarm_id, t.task_id,
    t.reserved_units, open.units)
FROM swarm_tasks t
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(r.units), 0) AS units
    FROM swarm_budget_reservations r
    WHERE r.tenant_id = t.tenant_id AND r.swarm_id = t.swarm_id AND r.task_id = t.task_id AND r.settled IS NULL) open
WHERE t.budget_id IS NOT NULL AND t.reserved_units <> open.units

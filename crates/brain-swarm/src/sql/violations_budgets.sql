WITH open AS (
    SELECT tenant_id, swarm_id, budget_id, task_id, sum(units) AS units
    FROM swarm_budget_reservations
    WHERE settled IS NULL
    GROUP BY 1, 2, 3, 4
)
SELECT format('tenant %s, swarm %s: budget %s counts %s reserved, but open reservations add up to %s',
    b.tenant_id, b.swarm_id, b.budget_id, b.reserved,
    COALESCE(summed.units, 0))
FROM swarm_budgets b
LEFT JOIN (
    SELECT tenant_id, swarm_id, budget_id, sum(units) AS units
    FROM open
    GROUP BY 1, 2, 3) summed USING (tenant_id, swarm_id, budget_id)
WHERE b.reserved <> COALESCE(summed.units, 0)
UNION ALL
SELECT format('tenant %s, swarm %s: budget %s of %s has spent %s and reserved %s',
    tenant_id, swarm_id, budget_id, max_units, spent, reserved)
FROM swarm_budgets
WHERE spent + reserved > max_units
UNION ALL
SELECT format('tenant %s, swarm %s: task %s counts %s reserved units, but its open reservations add up to %s',
    t.tenant_id, t.swarm_id, t.task_id,
    t.reserved_units, COALESCE(open.units, 0))
FROM swarm_tasks t
LEFT JOIN open USING (tenant_id, swarm_id, task_id)
WHERE t.reserved_units <> COALESCE(open.units, 0)

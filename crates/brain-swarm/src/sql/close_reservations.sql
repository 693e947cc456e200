-- An attempt is over: what it reserved and did not settle is given back, or counts as spent.
UPDATE swarm_budget_reservations r
SET settled = CASE WHEN over.spent THEN r.units ELSE 0 END
FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) AS over(tenant_id, swarm_id, task_id, spent)
WHERE r.tenant_id = over.tenant_id AND r.swarm_id = over.swarm_id AND r.task_id = over.task_id AND r.settled IS NULL

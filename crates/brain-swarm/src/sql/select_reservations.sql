SELECT tenant_id, swarm_id, reservation_id, budget_id, task_id, fencing_token, units, settled
FROM swarm_budget_reservations
WHERE tenant_id = ANY ($1::text[]) AND swarm_id = ANY ($2::text[]) AND reservation_id = ANY ($3::text[])

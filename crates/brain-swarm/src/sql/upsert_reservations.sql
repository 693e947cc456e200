INSERT INTO swarm_budget_reservations (tenant_id, swarm_id, reservation_id, budget_id, task_id, fencing_token, units, settled)
SELECT tenant_id, swarm_id, reservation_id, budget_id, task_id, fencing_token, units, settled
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[])
    AS new(tenant_id, swarm_id, reservation_id, budget_id, task_id, fencing_token, units, settled)
ON CONFLICT (tenant_id, swarm_id, reservation_id) DO UPDATE
SET settled = EXCLUDED.settled

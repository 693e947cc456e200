INSERT INTO swarm_sequences (tenant_id, swarm_id)
SELECT tenant_id, swarm_id
FROM unnest($1::text[], $2::text[]) AS new(tenant_id, swarm_id)
ORDER BY tenant_id, swarm_id
ON CONFLICT DO NOTHING

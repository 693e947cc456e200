UPDATE swarm_sequences s
SET last_seq = new.last_seq
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS new(tenant_id, swarm_id, last_seq)
WHERE s.tenant_id = new.tenant_id AND s.swarm_id = new.swarm_id

-- The rows are there and locked; a conflict is the surest way to find each by its key.
INSERT INTO swarm_sequences (tenant_id, swarm_id, last_seq)
SELECT tenant_id, swarm_id, last_seq
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS new(tenant_id, swarm_id, last_seq)
ON CONFLICT (tenant_id, swarm_id) DO UPDATE
SET last_seq = EXCLUDED.last_seq

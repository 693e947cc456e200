-- In order of key, so that two batches never wait for each other in a circle.
SELECT s.tenant_id, s.swarm_id, s.last_seq
FROM swarm_sequences s
JOIN unnest($1::text[], $2::text[]) AS wanted(tenant_id, swarm_id) USING (tenant_id, swarm_id)
ORDER BY s.tenant_id, s.swarm_id
FOR NO KEY UPDATE OF s

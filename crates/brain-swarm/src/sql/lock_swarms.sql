-- In order of key, as the arrays are, so that two batches never wait for each other in a circle. The time is read when the last
-- lock is held: whatever is decided is decided by it.
SELECT s.tenant_id, s.swarm_id, s.last_seq, clock_timestamp()
FROM unnest($1::text[], $2::text[]) AS wanted(tenant_id, swarm_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM swarm_sequences
    WHERE tenant_id = wanted.tenant_id AND swarm_id = wanted.swarm_id
    FOR NO KEY UPDATE) s

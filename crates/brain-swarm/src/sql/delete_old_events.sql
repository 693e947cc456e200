-- Events up to $3 go, and the swarm says so: one statement, so that neither happens without the other.
WITH raised AS (
    UPDATE swarm_sequences
    SET pruned_seq = $3
    WHERE tenant_id = $1 AND swarm_id = $2 AND pruned_seq < $3)
DELETE FROM swarm_events
WHERE tenant_id = $1 AND swarm_id = $2 AND seq > $4 AND seq <= $3

SELECT pruned_seq
FROM swarm_sequences
WHERE tenant_id = $1 AND swarm_id = $2
FOR NO KEY UPDATE

SELECT swarm_id
FROM swarm_sequences
WHERE tenant_id = $1
ORDER BY swarm_id
LIMIT $2

DELETE FROM swarm_memory
WHERE tenant_id = $1 AND memory_id = ANY ($2)

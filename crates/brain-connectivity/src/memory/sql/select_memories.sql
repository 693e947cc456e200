SELECT memory_id, agent_id, run_id, content, metadata, created_at, updated_at
FROM swarm_memory
WHERE tenant_id = $1 AND memory_id = ANY ($2)

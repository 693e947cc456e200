SELECT min(position)
FROM swarm_tasks
WHERE tenant_id = $1 AND swarm_id = $2 AND status IN ('created', 'assigned', 'running')

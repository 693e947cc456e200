SELECT task_id, assigned_agent_id
FROM swarm_tasks
WHERE tenant_id = 'default' AND swarm_id = $1 AND assigned_agent_id IS NOT NULL
ORDER BY task_id

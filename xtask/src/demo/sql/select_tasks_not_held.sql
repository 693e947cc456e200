-- Tasks that are not assigned to a live agent of the swarm.
SELECT format('task %s is %s, its agent %s is %s', wanted.task_id, coalesce(task.status, 'missing'),
              coalesce(task.assigned_agent_id, '(none)'), coalesce(agent.status, 'unknown'))
FROM unnest($2::text[]) AS wanted (task_id)
LEFT JOIN swarm_tasks AS task
       ON task.tenant_id = 'default' AND task.swarm_id = $1 AND task.task_id = wanted.task_id
LEFT JOIN swarm_agents AS agent
       ON agent.tenant_id = 'default' AND agent.swarm_id = $1 AND agent.agent_id = task.assigned_agent_id
WHERE task.status IS DISTINCT FROM 'assigned' OR agent.status IS DISTINCT FROM 'live'
ORDER BY 1

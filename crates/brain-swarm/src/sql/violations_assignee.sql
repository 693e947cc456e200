SELECT format('tenant %s, swarm %s: task %s is %s to %s, who is not an agent of the swarm',
    t.tenant_id, t.swarm_id, t.task_id, t.status, t.assigned_agent_id)
FROM swarm_tasks t
WHERE t.status IN ('assigned', 'running')
    AND NOT EXISTS (
        SELECT 1 FROM swarm_agents a
        WHERE a.tenant_id = t.tenant_id AND a.swarm_id = t.swarm_id AND a.agent_id = t.assigned_agent_id)

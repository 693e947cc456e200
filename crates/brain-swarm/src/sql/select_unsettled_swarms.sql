-- Swarms where a waiting task has an agent that fits, or a lost agent still holds tasks.
SELECT s.tenant_id, s.swarm_id
FROM swarm_sequences s
WHERE EXISTS (
        SELECT 1 FROM swarm_agents a
        WHERE a.tenant_id = s.tenant_id AND a.swarm_id = s.swarm_id AND a.status = 'lost' AND a.load > 0)
    OR (EXISTS (
            SELECT 1 FROM swarm_agents a
            WHERE a.tenant_id = s.tenant_id AND a.swarm_id = s.swarm_id AND a.status = 'live' AND a.role <> 'orchestrator')
        AND EXISTS (
            SELECT 1 FROM swarm_tasks t
            JOIN swarm_agents a ON a.tenant_id = t.tenant_id AND a.swarm_id = t.swarm_id AND a.status = 'live'
                AND a.role <> 'orchestrator' AND (a.capacity IS NULL OR a.load < a.capacity)
                AND (t.wanted_role IS NULL OR t.wanted_role = a.role)
                AND (t.wanted_capability IS NULL OR t.wanted_capability = ANY (a.capabilities))
            WHERE t.tenant_id = s.tenant_id AND t.swarm_id = s.swarm_id AND t.status = 'created'))
LIMIT $1

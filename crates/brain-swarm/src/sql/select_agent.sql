SELECT agent_id, swarm_id, run_id, role, capabilities, capacity, status, load, last_seen_at, created_at, assignment,
    draining
FROM swarm_agents
WHERE tenant_id = $1 AND swarm_id = $2 AND agent_id = $3

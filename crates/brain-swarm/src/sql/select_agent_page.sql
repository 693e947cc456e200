SELECT agent_id, swarm_id, run_id, role, capabilities, capacity, status, load, last_seen_at, created_at, assignment,
    draining
FROM swarm_agents
WHERE tenant_id = $1 AND swarm_id = $2 AND ($3::text IS NULL OR status = $3) AND agent_id > $4
ORDER BY agent_id
LIMIT $5

SELECT tenant_id, swarm_id, agent_id, run_id, role, capabilities, capacity, status, load, last_seen_at, assignment, draining
FROM swarm_agents
WHERE tenant_id = ANY ($1::text[]) AND swarm_id = ANY ($2::text[]) AND agent_id = ANY ($3::text[])

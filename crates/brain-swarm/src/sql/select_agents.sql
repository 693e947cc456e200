-- The live agents of these swarms that listen, and those that the batch speaks of.
SELECT a.tenant_id, a.swarm_id, a.agent_id, a.run_id, a.role, a.capabilities, a.capacity, a.status, a.load, a.last_seen_at,
    a.assignment, a.draining
FROM unnest($1::text[], $2::text[]) AS wanted(tenant_id, swarm_id)
CROSS JOIN LATERAL (
    (SELECT *
     FROM swarm_agents
     WHERE tenant_id = wanted.tenant_id AND swarm_id = wanted.swarm_id AND agent_id = ANY ($3::text[]))
    UNION ALL
    (SELECT *
     FROM swarm_agents
     WHERE tenant_id = wanted.tenant_id AND swarm_id = wanted.swarm_id AND status = 'live' AND assignment = 'push')) a

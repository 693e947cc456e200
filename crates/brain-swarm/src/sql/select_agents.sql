-- The live agents of these swarms, and those that the batch speaks of.
SELECT a.tenant_id, a.swarm_id, a.agent_id, a.run_id, a.role, a.capabilities, a.capacity, a.status, a.load, a.last_seen_at
FROM unnest($1::text[], $2::text[]) AS wanted(tenant_id, swarm_id)
JOIN swarm_agents a USING (tenant_id, swarm_id)
WHERE a.status = 'live' OR a.agent_id = ANY ($3::text[])

-- An agent that did not act itself keeps the time at which it was last heard.
INSERT INTO swarm_agents (tenant_id, swarm_id, agent_id, run_id, role, capabilities, capacity, status, load, assignment, draining,
    last_seen_at)
SELECT tenant_id, swarm_id, agent_id, run_id, role, ARRAY(SELECT jsonb_array_elements_text(capabilities::jsonb)), capacity,
    status, load, assignment, draining, CASE WHEN seen THEN clock_timestamp() ELSE '-infinity' END
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[], $9::int[], $10::text[],
    $11::boolean[], $12::boolean[])
    AS new(tenant_id, swarm_id, agent_id, run_id, role, capabilities, capacity, status, load, assignment, draining, seen)
ON CONFLICT (tenant_id, swarm_id, agent_id) DO UPDATE
SET run_id = EXCLUDED.run_id, role = EXCLUDED.role, capabilities = EXCLUDED.capabilities, capacity = EXCLUDED.capacity,
    status = EXCLUDED.status, load = EXCLUDED.load, assignment = EXCLUDED.assignment, draining = EXCLUDED.draining,
    last_seen_at = GREATEST(swarm_agents.last_seen_at, EXCLUDED.last_seen_at)

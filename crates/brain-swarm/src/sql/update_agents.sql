UPDATE swarm_agents a
SET status = new.status, load = new.load,
    last_seen_at = CASE WHEN new.seen THEN clock_timestamp() ELSE a.last_seen_at END
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::boolean[])
    AS new(tenant_id, swarm_id, agent_id, status, load, seen)
WHERE a.tenant_id = new.tenant_id AND a.swarm_id = new.swarm_id AND a.agent_id = new.agent_id

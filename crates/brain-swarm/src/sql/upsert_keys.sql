INSERT INTO swarm_concurrency (tenant_id, swarm_id, concurrency_key, max_held, held, ready, served_at)
SELECT tenant_id, swarm_id, concurrency_key, max_held, held, ready, CASE WHEN served THEN clock_timestamp() ELSE '-infinity' END
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[], $6::int[], $7::boolean[])
    AS new(tenant_id, swarm_id, concurrency_key, max_held, held, ready, served)
ON CONFLICT (tenant_id, swarm_id, concurrency_key) DO UPDATE
SET max_held = EXCLUDED.max_held, held = EXCLUDED.held, ready = EXCLUDED.ready,
    served_at = GREATEST(swarm_concurrency.served_at, EXCLUDED.served_at)

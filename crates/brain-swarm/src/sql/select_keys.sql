SELECT tenant_id, swarm_id, concurrency_key, max_held, held, ready
FROM swarm_concurrency
WHERE tenant_id = ANY ($1::text[]) AND swarm_id = ANY ($2::text[]) AND concurrency_key = ANY ($3::text[])

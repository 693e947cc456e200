-- Of several swarms this may find more than was asked for; the caller looks by the whole key.
SELECT *
FROM swarm_tasks
WHERE tenant_id = ANY ($1::text[]) AND swarm_id = ANY ($2::text[]) AND task_id = ANY ($3::text[])

SELECT outbox_id, tenant_id, swarm_id, first_seq, last_seq
FROM swarm_outbox
WHERE stream_name = $1
ORDER BY outbox_id
LIMIT $2

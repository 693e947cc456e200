SELECT count(*)
FROM swarm_tasks
WHERE tenant_id = 'default' AND swarm_id = $1 AND status = 'completed' AND terminal_event_id IS NOT NULL

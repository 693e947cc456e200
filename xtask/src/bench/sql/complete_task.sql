-- A task completes, with its event, bare. $1: seq, $2: event, $3: task, $4: payload of the event, $5: agent.
WITH stored AS (
    INSERT INTO swarm_events (swarm_id, seq, event_id, event_type, run_id, actor_id, payload, created_at)
    VALUES ('bench', $1, $2, 'task.completed', 'bench-run', $5, $4::text::jsonb, now())
)
UPDATE swarm_tasks
SET status = 'completed', outputs = '{"summary":"done"}', terminal_event_id = $2, lease_ms = NULL, lease_expires_at = NULL,
    updated_at = now()
WHERE tenant_id = 'default' AND swarm_id = 'bench' AND task_id = $3

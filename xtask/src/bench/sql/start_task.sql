-- A task is given to an agent, with its event, bare. $1: seq, $2: event, $3: task, $4: payload of the event, $5: agent.
WITH stored AS (
    INSERT INTO swarm_events (swarm_id, seq, event_id, event_type, run_id, actor_id, payload, created_at)
    VALUES ('bench', $1, $2, 'task.started', 'bench-run', $5, $4::text::jsonb, now())
)
UPDATE swarm_tasks
SET status = 'running', assigned_agent_id = $5, attempt = attempt + 1, fencing_token = fencing_token + 1, lease_ms = 30000,
    lease_expires_at = now() + interval '30 seconds', started_at = now(), updated_at = now()
WHERE tenant_id = 'default' AND swarm_id = 'bench' AND task_id = $3

-- Tasks are given to an agent, with their events, bare: `start_task.sql` for many. $5: agent.
WITH stored AS (
    INSERT INTO swarm_events (swarm_id, seq, event_id, event_type, run_id, actor_id, payload, created_at)
    SELECT 'bench', seq, event_id, 'task.started', 'bench-run', $5, payload::jsonb, now()
    FROM unnest($1::bigint[], $2::text[], $4::text[]) AS new(seq, event_id, payload)
)
UPDATE swarm_tasks
SET status = 'running', assigned_agent_id = $5, attempt = attempt + 1, fencing_token = fencing_token + 1, lease_ms = 30000,
    lease_expires_at = now() + interval '30 seconds', started_at = now(), updated_at = now()
WHERE tenant_id = 'default' AND swarm_id = 'bench' AND task_id = ANY ($3::text[])

-- Tasks complete, with their events, bare: `complete_task.sql` for many. $5: agent.
WITH new AS (
    SELECT *
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS new(seq, event_id, task_id, payload)
), stored AS (
    INSERT INTO swarm_events (swarm_id, seq, event_id, event_type, run_id, actor_id, payload, created_at)
    SELECT 'bench', seq, event_id, 'task.completed', 'bench-run', $5, payload::jsonb, now()
    FROM new
)
UPDATE swarm_tasks t
SET status = 'completed', outputs = '{"summary":"done"}', terminal_event_id = new.event_id, lease_ms = NULL,
    lease_expires_at = NULL, updated_at = now()
FROM new
-- The list lets the tasks be found by their key, however the join is planned.
WHERE t.tenant_id = 'default' AND t.swarm_id = 'bench' AND t.task_id = ANY ($3::text[]) AND t.task_id = new.task_id

-- Tasks with their events, bare: `create_task.sql` for many.
WITH new AS (
    SELECT *
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS new(seq, event_id, task_id, payload, inputs)
), stored AS (
    INSERT INTO swarm_events (swarm_id, seq, event_id, event_type, run_id, actor_id, payload, created_at)
    SELECT 'bench', seq, event_id, 'task.created', 'bench-run', 'planner', payload::jsonb, now()
    FROM new
)
INSERT INTO swarm_tasks (swarm_id, task_id, run_id, status, inputs, created_event_id, position)
SELECT 'bench', task_id, 'bench-run', 'created', inputs::jsonb, event_id, seq
FROM new

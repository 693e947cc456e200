-- A task with its event, bare. $1: seq, $2: event, $3: task, $4: payload of the event, $5: inputs.
WITH stored AS (
    INSERT INTO swarm_events (swarm_id, seq, event_id, event_type, run_id, actor_id, payload, created_at)
    VALUES ('bench', $1, $2, 'task.created', 'bench-run', 'planner', $4::text::jsonb, now())
)
INSERT INTO swarm_tasks (swarm_id, task_id, run_id, status, inputs, created_event_id, position)
VALUES ('bench', $3, 'bench-run', 'created', $5::text::jsonb, $2, $1)

-- Every task with what its outputs say about who completed it.
SELECT swarm_id, task_id, status, waiting_for, attempt, max_attempts, error,
    CASE jsonb_typeof(history) WHEN 'array' THEN jsonb_array_length(history) ELSE 0 END AS history,
    outputs ->> 'by' AS by, (outputs ->> 'token')::bigint AS token
FROM swarm_tasks

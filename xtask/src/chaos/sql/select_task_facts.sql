-- Every task with what its outputs say about who completed it.
SELECT swarm_id, task_id, status, waiting_for, attempt, max_attempts, error,
    -- A released attempt was given back, and does not count.
    jsonb_array_length(jsonb_path_query_array(COALESCE(history, '[]'), '$[*] ? (@.outcome != "released")'))
        AS ended_attempts,
    outputs ->> 'by' AS by, (outputs ->> 'token')::bigint AS token
FROM swarm_tasks

-- How many tasks are open, and the concurrency keys of which more than $1 run.
SELECT (SELECT count(*) FROM swarm_tasks WHERE status IN ('created', 'assigned', 'running')) AS open,
    (SELECT string_agg(words, ', ')
     FROM (SELECT format('%s of key %s run in %s', count(*), concurrency_key, swarm_id) AS words
           FROM swarm_tasks
           WHERE status = 'running' AND concurrency_key IS NOT NULL
           GROUP BY swarm_id, concurrency_key
           HAVING count(*) > $1::bigint) AS over) AS over

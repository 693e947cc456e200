-- Ends one connection of a replica, one that is at work if there is any; $1 chooses.
SELECT pg_terminate_backend(pid)
FROM (
    SELECT pid, row_number() OVER (ORDER BY state = 'idle', pid) - 1 AS place, count(*) FILTER (WHERE state <> 'idle') OVER () AS busy,
        count(*) OVER () AS all_of_them
    FROM pg_stat_activity
    WHERE application_name = 'studio-brain' AND datname = current_database() AND backend_type = 'client backend'
) AS backends
WHERE place = CASE WHEN busy > 0 THEN $1::bigint % busy ELSE $1::bigint % all_of_them END

-- What is not yet as it should be after a fault; null when all is well.
-- $1: canaries, $2: partitions, $3 and $4: tasks and the tokens with which a struck worker held them.
SELECT nullif(concat_ws('; ',
    (SELECT format('canaries not completed: %s', string_agg(format('%s (%s)', canary, coalesce(t.status, 'not stored')), ', '))
     FROM unnest($1::text[]) AS canary
     LEFT JOIN swarm_tasks t ON t.task_id = canary
     WHERE t.status IS DISTINCT FROM 'completed'
     HAVING count(*) > 0),
    (SELECT format('%s of %s partitions have a consumer', count(*), $2::bigint)
     FROM swarm_streams
     WHERE lease_owner IS NOT NULL AND lease_expires_at > clock_timestamp()
     HAVING count(*) < $2::bigint),
    (SELECT format('still held by the struck worker: %s', string_agg(t.task_id, ', '))
     FROM unnest($3::text[], $4::bigint[]) AS hold (task_id, token)
     JOIN swarm_tasks t ON t.task_id = hold.task_id AND t.status = 'running' AND t.fencing_token = hold.token
     HAVING count(*) > 0)), '')

-- How long events from the stream took from their creation to their row, in milliseconds. $1: of how many seconds.
SELECT
    percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY EXTRACT(epoch FROM stored_at - created_at)::float8 * 1000),
    count(*)
FROM swarm_events
WHERE event_type = 'task.created' AND stream_entry_id IS NOT NULL AND created_at > now() - $1::float8 * interval '1 second'

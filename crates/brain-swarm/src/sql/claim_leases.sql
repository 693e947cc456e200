-- A lease that was given back has no owner any more; one that ran out still names its last.
WITH free AS (
    SELECT stream_name, lease_owner IS NOT NULL AS ran_out
    FROM swarm_streams
    WHERE base_name = $1 AND (lease_owner IS NULL OR lease_expires_at <= clock_timestamp())
    ORDER BY stream_name
    LIMIT $4
    FOR UPDATE SKIP LOCKED
)
UPDATE swarm_streams AS stream
SET lease_owner = $2, lease_expires_at = clock_timestamp() + $3 * interval '1 millisecond', fencing_token = fencing_token + 1
FROM free
WHERE stream.stream_name = free.stream_name
RETURNING stream.stream_name, stream.fencing_token, stream.cursor, free.ran_out

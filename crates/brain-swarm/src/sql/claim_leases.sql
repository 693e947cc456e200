UPDATE swarm_streams
SET lease_owner = $2, lease_expires_at = clock_timestamp() + $3 * interval '1 millisecond', fencing_token = fencing_token + 1
WHERE stream_name IN (
    SELECT stream_name
    FROM swarm_streams
    WHERE base_name = $1 AND (lease_owner IS NULL OR lease_expires_at <= clock_timestamp())
    ORDER BY stream_name
    LIMIT $4
    FOR UPDATE SKIP LOCKED)
RETURNING stream_name, fencing_token, cursor

-- A lease that has run out is not renewed: somebody else may be about to take it.
WITH alive AS (
    INSERT INTO swarm_replicas (replica_id, base_name, host)
    VALUES ($2, $1, $3)
    ON CONFLICT (replica_id) DO UPDATE
    SET last_seen_at = clock_timestamp()
)
UPDATE swarm_streams
SET lease_expires_at = clock_timestamp() + $4 * interval '1 millisecond'
WHERE base_name = $1 AND lease_owner = $2 AND lease_expires_at > clock_timestamp()
RETURNING stream_name, fencing_token

UPDATE swarm_streams
SET lease_owner = NULL, lease_expires_at = NULL
WHERE stream_name = $1 AND lease_owner = $2 AND fencing_token = $3

UPDATE swarm_streams
SET cursor = $2, updated_at = clock_timestamp()
WHERE stream_name = $1

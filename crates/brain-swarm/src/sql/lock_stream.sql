-- Holding this row until commit keeps the lease where it is.
SELECT 1
FROM swarm_streams
WHERE stream_name = $1 AND lease_owner = $2 AND fencing_token = $3
FOR NO KEY UPDATE

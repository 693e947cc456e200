-- The live replicas in order, the number of streams, and in how many milliseconds the first foreign lease runs out.
SELECT
    ARRAY(SELECT replica_id
          FROM swarm_replicas
          WHERE base_name = $1 AND last_seen_at > clock_timestamp() - $3 * interval '0.8 millisecond'
          ORDER BY replica_id) AS replicas,
    count(*) AS streams,
    EXTRACT(epoch FROM min(COALESCE(lease_expires_at, to_timestamp(0))) FILTER (WHERE lease_owner IS DISTINCT FROM $2 OR lease_expires_at <= clock_timestamp())
        - clock_timestamp())::float8 * 1000 AS next_expiry_ms
FROM swarm_streams
WHERE base_name = $1

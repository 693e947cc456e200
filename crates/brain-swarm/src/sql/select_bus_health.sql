-- How many streams there are, which nobody consumes, and how old the oldest row of the outbox is.
SELECT
    (SELECT count(*) FROM swarm_streams WHERE base_name = $1) AS streams,
    ARRAY(SELECT stream_name
          FROM swarm_streams
          WHERE base_name = $1 AND (lease_owner IS NULL OR lease_expires_at < clock_timestamp())
          ORDER BY stream_name) AS orphans,
    (SELECT EXTRACT(epoch FROM clock_timestamp() - created_at)::float8 FROM swarm_outbox ORDER BY outbox_id LIMIT 1) AS outbox_age_s

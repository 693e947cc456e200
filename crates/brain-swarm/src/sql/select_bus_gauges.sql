-- How many rows the outbox has, within a limit, how old the oldest is, and how many streams nobody consumes.
SELECT
    (SELECT count(*) FROM (SELECT FROM swarm_outbox LIMIT 100000) AS counted) AS outbox_rows,
    (SELECT EXTRACT(epoch FROM clock_timestamp() - created_at)::float8 FROM swarm_outbox ORDER BY outbox_id LIMIT 1) AS outbox_age_s,
    (SELECT count(*)
     FROM swarm_streams
     WHERE base_name = $1 AND (lease_owner IS NULL OR lease_expires_at < clock_timestamp())) AS orphans

WITH instant AS (
    SELECT clock_timestamp() AS now
), hour AS (
    SELECT now, to_timestamp(floor(extract(epoch FROM now) / $2::int) * $2::int) AS start FROM instant
), taken AS (
    INSERT INTO brain_capability_quota AS quota
        (bucket, window_start, used, window_seconds, most, purpose, tenant_id, owner_id, actor_id, capability_id)
    SELECT $1, start, 1, $2::int, $3::int, $4, $5, $6, $7, $8 FROM hour WHERE $3::int > 0
    ON CONFLICT (bucket, window_start) DO UPDATE SET used = quota.used + 1, most = excluded.most
    WHERE quota.used < $3::int AND quota.tenant_id = $5
    RETURNING 1
)
SELECT
    EXISTS (SELECT FROM taken) AS taken,
    ceil(extract(epoch FROM start + make_interval(secs => $2::int) - now))::int AS retry_after
FROM hour

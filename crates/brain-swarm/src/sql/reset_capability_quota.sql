WITH before AS (
    SELECT bucket, window_start, used
    FROM brain_capability_quota
    WHERE bucket = $1 AND tenant_id = $2 AND purpose = 'quota'
        AND window_start > clock_timestamp() - make_interval(secs => window_seconds)
    FOR UPDATE
)
UPDATE brain_capability_quota AS quota
SET used = 0
FROM before
WHERE quota.bucket = before.bucket AND quota.window_start = before.window_start AND quota.tenant_id = $2
RETURNING quota.bucket, quota.owner_id, quota.actor_id, quota.capability_id, quota.window_start, quota.used, quota.most,
    before.used AS before

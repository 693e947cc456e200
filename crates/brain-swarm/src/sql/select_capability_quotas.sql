SELECT bucket, owner_id, actor_id, capability_id, window_start, used, most
FROM brain_capability_quota
WHERE tenant_id = $1 AND purpose = 'quota' AND bucket > $2
    AND window_start > clock_timestamp() - make_interval(secs => window_seconds)
ORDER BY bucket
LIMIT $3

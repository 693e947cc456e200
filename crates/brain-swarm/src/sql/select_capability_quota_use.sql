SELECT used
FROM brain_capability_quota
WHERE bucket = $1 AND tenant_id = $2 AND window_start > clock_timestamp() - make_interval(secs => $3::int)
ORDER BY window_start DESC
LIMIT 1

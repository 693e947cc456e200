UPDATE brain_capability_quota
SET used = used + 1
WHERE bucket = $1 AND tenant_id = $2 AND used = most
    AND window_start > clock_timestamp() - make_interval(secs => $3::int)

DELETE FROM brain_capability_quota
WHERE window_start < clock_timestamp() - make_interval(secs => $1::int)

SELECT seq, at, hash FROM brain_event_log WHERE tenant_id = $1 AND seq = ANY ($2)

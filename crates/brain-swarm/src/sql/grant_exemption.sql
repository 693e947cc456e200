INSERT INTO brain_capability_exemption_events
    (event_id, exemption_id, tenant_id, capability_id, action, actor_id, reason, expires_at)
VALUES ($1, $2, $3, $4, 'granted', $5, $6, now() + $7::bigint * interval '1 millisecond')

INSERT INTO brain_capability_exemption_events
    (event_id, exemption_id, tenant_id, capability_id, action, actor_id, reason)
SELECT $1, granted.exemption_id, granted.tenant_id, granted.capability_id, 'revoked', $4, $5
FROM brain_capability_exemption_events AS granted
WHERE granted.exemption_id = $2 AND granted.tenant_id = $3 AND granted.action = 'granted'
    AND NOT EXISTS (
        SELECT FROM brain_capability_exemption_events AS revoked
        WHERE revoked.exemption_id = granted.exemption_id AND revoked.tenant_id = $3 AND revoked.action = 'revoked'
    )

SELECT granted.exemption_id
FROM brain_capability_exemption_events AS granted
WHERE granted.tenant_id = $1 AND granted.capability_id = $2 AND granted.action = 'granted'
    AND granted.expires_at > clock_timestamp()
    AND NOT EXISTS (
        SELECT FROM brain_capability_exemption_events AS revoked
        WHERE revoked.exemption_id = granted.exemption_id AND revoked.tenant_id = $1 AND revoked.action = 'revoked'
    )
ORDER BY granted.expires_at DESC
LIMIT 1

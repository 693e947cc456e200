SELECT granted.exemption_id, granted.capability_id, granted.actor_id AS granted_by, granted.reason, granted.at AS granted_at,
    granted.expires_at, revoked.actor_id AS revoked_by, revoked.reason AS revoked_reason, revoked.at AS revoked_at,
    revoked.at IS NULL AND granted.expires_at > clock_timestamp() AS active
FROM brain_capability_exemption_events AS granted
LEFT JOIN LATERAL (
    SELECT actor_id, reason, at
    FROM brain_capability_exemption_events
    WHERE exemption_id = granted.exemption_id AND tenant_id = granted.tenant_id AND action = 'revoked'
    ORDER BY at
    LIMIT 1
) AS revoked ON true
WHERE granted.tenant_id = $1 AND granted.action = 'granted' AND granted.exemption_id > $2
ORDER BY granted.exemption_id
LIMIT $3

SELECT delegation_id, owner_id, agent_id, scopes, reason, created_by, created_at, expires_at, revoked_by, revoked_at
FROM brain_capability_delegations
WHERE delegation_id = $1 AND tenant_id = $2
FOR SHARE

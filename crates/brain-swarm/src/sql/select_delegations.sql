SELECT delegation_id, owner_id, agent_id, scopes, reason, created_by, created_at, expires_at, revoked_by, revoked_at
FROM brain_capability_delegations
WHERE tenant_id = $1 AND ($2::text IS NULL OR owner_id = $2 OR agent_id = $2) AND delegation_id > $3
ORDER BY delegation_id
LIMIT $4

INSERT INTO brain_capability_delegations
    (delegation_id, tenant_id, owner_id, agent_id, scopes, reason, created_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8::bigint * interval '1 millisecond')
RETURNING delegation_id, owner_id, agent_id, scopes, reason, created_by, created_at, expires_at, revoked_by, revoked_at

WITH before AS (
    SELECT delegation_id, revoked_at IS NULL AS open
    FROM brain_capability_delegations
    WHERE delegation_id = $1 AND tenant_id = $2 AND ($4::text IS NULL OR owner_id = $4)
    FOR UPDATE
)
UPDATE brain_capability_delegations AS it
SET revoked_by = coalesce(it.revoked_by, $3), revoked_at = coalesce(it.revoked_at, now())
FROM before
WHERE it.delegation_id = before.delegation_id AND it.tenant_id = $2
RETURNING it.delegation_id, it.owner_id, it.agent_id, it.scopes, it.reason, it.created_by, it.created_at, it.expires_at,
    it.revoked_by, it.revoked_at, before.open AS changed

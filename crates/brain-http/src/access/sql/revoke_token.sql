-- Null as the tenant: a token of any. One that was revoked before keeps its date. Whoever comes second sees what the first did.
WITH before AS (
    SELECT token_id, revoked_at IS NULL AS active
    FROM brain_api_tokens
    WHERE token_id = $1 AND ($2::text IS NULL OR tenant_id = $2)
    FOR UPDATE
)
UPDATE brain_api_tokens AS it
SET revoked_at = COALESCE(it.revoked_at, clock_timestamp()), revoked_by = COALESCE(it.revoked_by, $3)
FROM before
WHERE it.token_id = before.token_id
RETURNING it.token_id, it.tenant_id, it.name, it.role, it.scopes, it.bound, it.requests_per_second, it.max_streams, it.max_body_bytes,
    it.created_by, it.created_at, it.expires_at, it.revoked_by, it.revoked_at, it.last_used_at, before.active AS is_new

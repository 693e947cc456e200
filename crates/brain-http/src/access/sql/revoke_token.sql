-- Null as the tenant: a token of any. One that was revoked before keeps its date.
UPDATE brain_api_tokens
SET revoked_at = COALESCE(revoked_at, clock_timestamp()), revoked_by = COALESCE(revoked_by, $3)
WHERE token_id = $1 AND ($2::text IS NULL OR tenant_id = $2)
RETURNING token_id, tenant_id, name, role, scopes, bound, requests_per_second, max_streams, max_body_bytes, created_by, created_at, expires_at,
    revoked_by, revoked_at, last_used_at

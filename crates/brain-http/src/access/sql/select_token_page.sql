-- Null as the tenant: the tokens of all of them.
SELECT token_id, tenant_id, name, role, scopes, bound, requests_per_second, max_streams, max_body_bytes, created_by, created_at, expires_at,
    revoked_by, revoked_at, last_used_at
FROM brain_api_tokens
WHERE ($1::text IS NULL OR tenant_id = $1) AND token_id > $2
ORDER BY token_id
LIMIT $3

SELECT token_id, tenant_id, name, role, scopes, bound, requests_per_second, max_streams, max_body_bytes, created_by, created_at, expires_at,
    revoked_by, revoked_at, last_used_at, secret_sha256
FROM brain_api_tokens
WHERE token_id = $1

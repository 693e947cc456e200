INSERT INTO brain_api_tokens (
    token_id, tenant_id, name, role, scopes, bound, secret_sha256, requests_per_second, max_streams, max_body_bytes, created_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
RETURNING token_id, tenant_id, name, role, scopes, bound, requests_per_second, max_streams, max_body_bytes, created_by, created_at, expires_at,
    revoked_by, revoked_at, last_used_at

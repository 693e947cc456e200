-- The session with the token that it stands for; that of the administrator has none.
SELECT s.expires_at AS session_expires_at, s.admin_sha256,
    t.token_id, t.tenant_id, t.name, t.role, t.scopes, t.bound, t.requests_per_second, t.max_streams, t.max_body_bytes, t.created_by,
    t.created_at, t.expires_at, t.revoked_by, t.revoked_at, t.last_used_at
FROM brain_sessions s
LEFT JOIN brain_api_tokens t ON t.token_id = s.token_id AND t.tenant_id = s.tenant_id
WHERE s.session_sha256 = $1 AND s.expires_at > now()

SELECT request_sha256, status, content_type, body
FROM brain_idempotency_keys
WHERE tenant_id = $1 AND principal_id = $2 AND idempotency_key = $3

-- Whoever began it again meanwhile keeps it.
UPDATE brain_idempotency_keys
SET status = $5, content_type = $6, body = $7
WHERE tenant_id = $1 AND principal_id = $2 AND idempotency_key = $3 AND started_at = $4

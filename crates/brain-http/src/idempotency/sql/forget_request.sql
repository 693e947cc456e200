DELETE FROM brain_idempotency_keys
WHERE tenant_id = $1 AND principal_id = $2 AND idempotency_key = $3 AND started_at = $4 AND status IS NULL

INSERT INTO brain_audit_checkpoints (tenant_id, seq, hash, at, key_id, signature)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING

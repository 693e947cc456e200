INSERT INTO brain_audit_heads (tenant_id, seq, hash)
VALUES ($1, 0, decode(repeat('00', 32), 'hex'))
ON CONFLICT (tenant_id) DO UPDATE SET seq = brain_audit_heads.seq
RETURNING seq, hash, clock_timestamp() AS at

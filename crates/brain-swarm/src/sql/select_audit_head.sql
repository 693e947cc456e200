SELECT seq, hash FROM brain_audit_heads WHERE tenant_id = $1

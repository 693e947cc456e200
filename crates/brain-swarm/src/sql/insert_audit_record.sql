WITH head AS (
    UPDATE brain_audit_heads SET seq = $13, hash = $15 WHERE tenant_id = $12
)
INSERT INTO brain_event_log (
    id, at, actor_type, actor_id, action, rationale, target, approval_state, input_hash, output_hash, metadata,
    tenant_id, seq, prev_hash, hash
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)

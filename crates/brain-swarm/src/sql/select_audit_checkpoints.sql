-- The newest, in their order.
SELECT seq, hash, at, key_id, signature
FROM (
    SELECT seq, hash, at, key_id, signature
    FROM brain_audit_checkpoints
    WHERE tenant_id = $1 AND seq BETWEEN $2 AND $3
    ORDER BY seq DESC, key_id DESC
    LIMIT $4
) AS newest
ORDER BY seq, key_id

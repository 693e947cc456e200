-- The ends of chains that this key has not signed, each with the newest checkpoint of this key; of any, where it has none yet.
SELECT head.tenant_id, head.seq AS end_seq, head.hash AS end_hash, clock_timestamp() AS now,
    before.seq, before.hash, before.at, before.key_id, before.signature
FROM brain_audit_heads AS head
LEFT JOIN LATERAL (
    (SELECT 1 AS choice, seq, hash, at, key_id, signature
    FROM brain_audit_checkpoints
    WHERE tenant_id = head.tenant_id AND key_id = $2
    ORDER BY seq DESC
    LIMIT 1)
    UNION ALL
    (SELECT 2, seq, hash, at, key_id, signature
    FROM brain_audit_checkpoints
    WHERE tenant_id = head.tenant_id
    ORDER BY seq DESC, key_id DESC
    LIMIT 1)
    ORDER BY choice
    LIMIT 1
) AS before ON true
WHERE head.seq > 0
  AND head.tenant_id > $1
  AND NOT EXISTS (
      SELECT FROM brain_audit_checkpoints
      WHERE tenant_id = head.tenant_id AND seq = head.seq AND key_id = $2
  )
ORDER BY head.tenant_id
LIMIT $3

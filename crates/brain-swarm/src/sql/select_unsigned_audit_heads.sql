-- The ends of chains that this key has not signed, with the newest end that any key has.
SELECT head.tenant_id, head.seq, head.hash, clock_timestamp() AS at,
    COALESCE(signed.seq, 0) AS signed_seq, signed.hash AS signed_hash
FROM brain_audit_heads AS head
LEFT JOIN LATERAL (
    SELECT seq, hash
    FROM brain_audit_checkpoints
    WHERE tenant_id = head.tenant_id
    ORDER BY seq DESC
    LIMIT 1
) AS signed ON true
WHERE head.seq > 0
  AND head.tenant_id > $1
  AND NOT EXISTS (
      SELECT FROM brain_audit_checkpoints
      WHERE tenant_id = head.tenant_id AND seq = head.seq AND key_id = $2
  )
ORDER BY head.tenant_id
LIMIT $3

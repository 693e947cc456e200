SELECT id, at, actor_type, actor_id, action, rationale, target, approval_state, input_hash, output_hash, metadata, seq, prev_hash, hash
FROM brain_event_log
WHERE tenant_id = $1
  AND seq < $2
  AND ($3::text IS NULL OR starts_with(action, $3))
  AND ($4::text IS NULL OR actor_id = $4)
  AND ($5::text IS NULL OR approval_state = $5)
  AND ($6::text IS NULL OR target = $6)
ORDER BY seq DESC
LIMIT $7

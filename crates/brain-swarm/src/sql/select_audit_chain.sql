SELECT id, at, actor_type, actor_id, action, rationale, target, approval_state, input_hash, output_hash, metadata, seq, prev_hash, hash
FROM brain_event_log
WHERE tenant_id = $1 AND seq > $2 AND seq <= $3
ORDER BY seq
LIMIT $4

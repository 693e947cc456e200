SELECT dead_letter_id, stream_name, entry_id, reason, detail, raw, delivery_count, swarm_id, event_id, event_type, status,
    created_at, resolved_at
FROM swarm_dead_letters
WHERE tenant_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR reason = $3) AND dead_letter_id < $4
ORDER BY dead_letter_id DESC
LIMIT $5

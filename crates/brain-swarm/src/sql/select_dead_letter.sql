SELECT dead_letter_id, stream_name, entry_id, reason, detail, raw, delivery_count, swarm_id, event_id, event_type, status,
    created_at, resolved_at
FROM swarm_dead_letters
WHERE tenant_id = $1 AND dead_letter_id = $2

-- The same entry may come again after a crash: then only its delivery count grows.
INSERT INTO swarm_dead_letters (dead_letter_id, tenant_id, stream_name, entry_id, raw_sha256, reason, detail, raw,
    delivery_count, swarm_id, event_id, event_type)
SELECT dead_letter_id, tenant_id, $3, entry_id, raw_sha256, reason, detail, raw, delivery_count, swarm_id, event_id, event_type
FROM unnest($1::uuid[], $2::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::int[], $10::text[], $11::text[], $12::text[])
    AS new(dead_letter_id, tenant_id, entry_id, raw_sha256, reason, detail, raw, delivery_count, swarm_id, event_id, event_type)
ON CONFLICT (stream_name, entry_id, raw_sha256) DO UPDATE
SET delivery_count = GREATEST(swarm_dead_letters.delivery_count, EXCLUDED.delivery_count)

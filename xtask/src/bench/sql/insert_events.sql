INSERT INTO swarm_events (tenant_id, swarm_id, seq, event_id, event_type, schema_version, run_id, actor_id, payload,
    correlation_id, causation_id, runbook_id, traceparent, tracestate, stream_entry_id, note, created_at)
SELECT tenant_id, swarm_id, seq, event_id, event_type, schema_version, run_id, actor_id, payload::jsonb,
    correlation_id, causation_id, runbook_id, traceparent, tracestate, stream_entry_id, note, created_at
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::smallint[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::timestamptz[])
    AS new(tenant_id, swarm_id, seq, event_id, event_type, schema_version, run_id, actor_id, payload,
        correlation_id, causation_id, runbook_id, traceparent, tracestate, stream_entry_id, note, created_at)

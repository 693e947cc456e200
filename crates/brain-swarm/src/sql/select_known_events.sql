SELECT e.tenant_id, e.swarm_id, e.event_id, e.seq, e.stream_entry_id
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted(tenant_id, swarm_id, event_id)
JOIN swarm_events e USING (tenant_id, swarm_id, event_id)

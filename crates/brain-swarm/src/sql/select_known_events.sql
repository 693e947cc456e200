-- One walk over the index on ids, whatever the planner thinks of the size of the table: no other index serves the comparisons
-- of swarm and tenant as they are written here.
SELECT tenant_id, swarm_id, event_id, seq, stream_entry_id
FROM swarm_events
WHERE event_id = ANY ($3::text[])
    AND (swarm_id || '') = ANY ($2::text[]) AND (tenant_id || '') = ANY ($1::text[])

SELECT format('outbox row %s for %s, tenant %s, swarm %s, events %s to %s, has waited since %s', outbox_id, stream_name,
    tenant_id, swarm_id, first_seq, last_seq, created_at)
FROM swarm_outbox
WHERE created_at < clock_timestamp() - $1 * interval '1 millisecond'

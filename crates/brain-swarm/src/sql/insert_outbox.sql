INSERT INTO swarm_outbox (stream_name, tenant_id, swarm_id, first_seq, last_seq)
SELECT stream_name, tenant_id, swarm_id, first_seq, last_seq
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
    AS new(stream_name, tenant_id, swarm_id, first_seq, last_seq)
RETURNING outbox_id, tenant_id, swarm_id

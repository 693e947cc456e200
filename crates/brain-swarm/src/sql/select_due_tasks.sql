-- Before anything is handed out: what comes back because a lease ran out, and what is due, the first $3 of each.
SELECT i.*
FROM unnest($1::text[], $2::text[]) AS wanted(tenant_id, swarm_id)
CROSS JOIN LATERAL (
    (SELECT leased.*
     FROM swarm_tasks leased
     WHERE leased.tenant_id = wanted.tenant_id AND leased.swarm_id = wanted.swarm_id
        AND leased.lease_expires_at <= clock_timestamp()
     ORDER BY leased.lease_expires_at
     LIMIT $3)
    UNION ALL
    (SELECT due.*
     FROM swarm_tasks due
     WHERE due.tenant_id = wanted.tenant_id AND due.swarm_id = wanted.swarm_id AND due.status = 'created'
        AND due.waiting_for = 'time' AND due.run_at <= clock_timestamp()
     ORDER BY due.run_at
     LIMIT $3)
) AS i

-- Tasks that something other than an event moves, the first $3 of each kind and swarm: held by a lost agent or under a lease that
-- ran out; due; in a cancelled run or under a stopped budget; held back by a budget that gives again; ready for an agent that
-- listens. $4, $5, $6: agents, runs and budgets that this batch itself changes so. With $7 only what an agent fits counts as
-- ready, so that tasks that none fits do not stand before the others for ever.
SELECT i.*
FROM unnest($1::text[], $2::text[]) AS wanted(tenant_id, swarm_id)
CROSS JOIN LATERAL (
    (SELECT held.*
     FROM swarm_agents a
     JOIN swarm_tasks held ON held.tenant_id = a.tenant_id AND held.swarm_id = a.swarm_id AND held.assigned_agent_id = a.agent_id
     WHERE a.tenant_id = wanted.tenant_id AND a.swarm_id = wanted.swarm_id
        AND (a.status = 'lost' OR a.agent_id = ANY ($4::text[])) AND a.load > 0
        AND held.status IN ('assigned', 'running')
     LIMIT $3)
    UNION ALL
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
    UNION ALL
    (SELECT open.*
     FROM swarm_runs r
     JOIN swarm_tasks open ON open.tenant_id = r.tenant_id AND open.swarm_id = r.swarm_id AND open.run_id = r.run_id
     WHERE r.tenant_id = wanted.tenant_id AND r.swarm_id = wanted.swarm_id
        AND ((r.state = 'cancelled' AND r.tasks_created > r.tasks_completed + r.tasks_failed + r.tasks_cancelled)
            OR r.run_id = ANY ($5::text[]))
        AND open.status IN ('created', 'assigned', 'running')
     LIMIT $3)
    UNION ALL
    (SELECT open.*
     FROM swarm_budgets b
     JOIN swarm_tasks open ON open.tenant_id = b.tenant_id AND open.swarm_id = b.swarm_id AND open.budget_id = b.budget_id
     WHERE b.tenant_id = wanted.tenant_id AND b.swarm_id = wanted.swarm_id AND (b.state = 'stopped' OR b.budget_id = ANY ($6::text[]))
        AND open.status IN ('created', 'assigned', 'running')
     LIMIT $3)
    UNION ALL
    (SELECT back.*
     FROM swarm_budgets b
     JOIN swarm_tasks back ON back.tenant_id = b.tenant_id AND back.swarm_id = b.swarm_id AND back.budget_id = b.budget_id
     WHERE b.tenant_id = wanted.tenant_id AND b.swarm_id = wanted.swarm_id AND b.state = 'open'
        AND back.status = 'created' AND back.waiting_for = 'budget'
     LIMIT $3)
    UNION ALL
    (SELECT waiting.*
     FROM swarm_tasks waiting
     WHERE waiting.tenant_id = wanted.tenant_id AND waiting.swarm_id = wanted.swarm_id AND waiting.status = 'created'
        AND waiting.waiting_for IS NULL
        AND (NOT $7 OR EXISTS (
            SELECT 1 FROM swarm_agents a
            WHERE a.tenant_id = waiting.tenant_id AND a.swarm_id = waiting.swarm_id AND a.status = 'live' AND NOT a.draining
                AND a.assignment = 'push' AND a.role <> 'orchestrator' AND (a.capacity IS NULL OR a.load < a.capacity)
                AND (waiting.wanted_role IS NULL OR waiting.wanted_role = a.role)
                AND (waiting.wanted_capability IS NULL OR waiting.wanted_capability = ANY (a.capabilities))))
     ORDER BY waiting.priority DESC, waiting.position
     LIMIT $3)
) AS i

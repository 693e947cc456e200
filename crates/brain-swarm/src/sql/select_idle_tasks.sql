-- Tasks that nobody works on: held by a lost agent, or waiting; the first $3 of each kind and swarm, with the context of their
-- creation. With $5 only waiting ones that a live agent fits, so that those that none fits do not stand before them for ever.
SELECT t.tenant_id, t.swarm_id, t.task_id, t.run_id, t.status, t.assigned_agent_id, t.wanted_role, t.wanted_capability,
    t.priority, t.attempt, t.max_attempts, t.created_event_id, e.correlation_id, e.runbook_id, e.traceparent, e.tracestate
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
    (SELECT waiting.*
     FROM swarm_tasks waiting
     WHERE waiting.tenant_id = wanted.tenant_id AND waiting.swarm_id = wanted.swarm_id AND waiting.status = 'created'
        AND (NOT $5 OR EXISTS (
            SELECT 1 FROM swarm_agents a
            WHERE a.tenant_id = waiting.tenant_id AND a.swarm_id = waiting.swarm_id AND a.status = 'live'
                AND a.role <> 'orchestrator' AND (a.capacity IS NULL OR a.load < a.capacity)
                AND (waiting.wanted_role IS NULL OR waiting.wanted_role = a.role)
                AND (waiting.wanted_capability IS NULL OR waiting.wanted_capability = ANY (a.capabilities))))
     ORDER BY waiting.priority DESC, waiting.created_at, waiting.task_id
     LIMIT $3)
) AS t
LEFT JOIN LATERAL (
    SELECT *
    FROM swarm_events
    WHERE event_id = t.created_event_id
        AND swarm_id IS NOT DISTINCT FROM t.swarm_id AND tenant_id IS NOT DISTINCT FROM t.tenant_id
    LIMIT 1) e ON true
ORDER BY t.tenant_id, t.swarm_id, t.priority DESC, t.created_at, t.task_id

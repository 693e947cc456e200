-- What the claims of a batch may take: per lane and per concurrency key in the order of the queue, and what was assigned to the
-- claiming agents. $1 to $4: agents that claim, and how many tasks each wants. A lane is a role and a capability; see
-- `decide::task::lane`.
WITH claiming AS MATERIALIZED (
    SELECT a.tenant_id, a.swarm_id, a.agent_id, a.role, a.capabilities, a.draining, wanted.most
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS wanted(tenant_id, swarm_id, agent_id, most)
    CROSS JOIN LATERAL (
        SELECT *
        FROM swarm_agents
        WHERE tenant_id = wanted.tenant_id AND swarm_id = wanted.swarm_id AND agent_id = wanted.agent_id
        LIMIT 1) a
), lanes AS MATERIALIZED (
    SELECT c.tenant_id, c.swarm_id, l.lane, LEAST(sum(c.most), 4096)::bigint AS most
    FROM claiming c
    CROSS JOIN LATERAL (
        SELECT '' AS lane
        UNION ALL
        SELECT c.role || '/'
        UNION ALL
        SELECT x.role || '/' || x.capability
        FROM unnest(c.capabilities) AS k(capability)
        CROSS JOIN LATERAL (VALUES ('', k.capability), (c.role, k.capability)) AS x(role, capability)) l
    WHERE NOT c.draining
    GROUP BY c.tenant_id, c.swarm_id, l.lane
)
(SELECT t.*
 FROM lanes
 CROSS JOIN LATERAL (
    SELECT *
    FROM swarm_tasks
    WHERE tenant_id = lanes.tenant_id AND swarm_id = lanes.swarm_id AND lane = lanes.lane
        AND status = 'created' AND waiting_for IS NULL AND concurrency_key IS NULL
    ORDER BY priority DESC, position
    LIMIT lanes.most) t)
UNION ALL
(SELECT t.*
 FROM (
    SELECT tenant_id, swarm_id, array_agg(lane) AS lanes, max(most) AS most
    FROM lanes
    GROUP BY tenant_id, swarm_id) wanted
 CROSS JOIN LATERAL (
    SELECT *
    FROM swarm_concurrency
    WHERE tenant_id = wanted.tenant_id AND swarm_id = wanted.swarm_id AND held < max_held AND ready > 0
    ORDER BY served_at
    LIMIT wanted.most) k
 CROSS JOIN LATERAL (
    SELECT *
    FROM swarm_tasks
    WHERE tenant_id = k.tenant_id AND swarm_id = k.swarm_id AND concurrency_key = k.concurrency_key
        AND status = 'created' AND waiting_for IS NULL AND lane = ANY (wanted.lanes)
    ORDER BY priority DESC, position
    LIMIT LEAST(k.max_held - k.held, wanted.most)) t)
UNION ALL
(SELECT t.*
 FROM claiming
 CROSS JOIN LATERAL (
    SELECT *
    FROM swarm_tasks
    WHERE tenant_id = claiming.tenant_id AND swarm_id = claiming.swarm_id AND assigned_agent_id = claiming.agent_id
        AND status IN ('assigned', 'running') AND status = 'assigned'
    LIMIT claiming.most) t)

-- Swarms where something other than an event moves a task: a lease ran out, a lost agent still holds tasks, a time has come, a
-- cancelled run or a stopped budget has open tasks, a budget gives again, or what waits fits an agent that listens.
-- Each question is a probe of one index that stops at its first row. EXISTS would leave it to the planner to read the whole table
-- once instead, which it takes for cheaper when there are several swarms, and does again with each sweep of an idle system.
SELECT s.tenant_id, s.swarm_id
FROM swarm_sequences s
WHERE COALESCE(
    (SELECT true
     FROM swarm_tasks
     WHERE tenant_id = s.tenant_id AND swarm_id = s.swarm_id AND lease_expires_at <= clock_timestamp()
     LIMIT 1),
    (SELECT true
     FROM swarm_agents
     WHERE tenant_id = s.tenant_id AND swarm_id = s.swarm_id AND status = 'lost' AND load > 0
     LIMIT 1),
    (SELECT true
     FROM swarm_tasks
     WHERE tenant_id = s.tenant_id AND swarm_id = s.swarm_id AND status = 'created' AND waiting_for = 'time'
        AND run_at <= clock_timestamp()
     LIMIT 1),
    (SELECT true
     FROM swarm_runs
     WHERE tenant_id = s.tenant_id AND swarm_id = s.swarm_id AND state = 'cancelled'
        AND tasks_created > tasks_completed + tasks_failed + tasks_cancelled
     LIMIT 1),
    (SELECT true
     FROM swarm_budgets b
     CROSS JOIN LATERAL (
        SELECT status, waiting_for
        FROM swarm_tasks
        WHERE budget_id = b.budget_id AND swarm_id = b.swarm_id AND tenant_id = b.tenant_id
            AND status IN ('created', 'assigned', 'running')
            AND (b.state = 'stopped' OR (status = 'created' AND waiting_for = 'budget'))
        LIMIT 1) t
     WHERE b.tenant_id = s.tenant_id AND b.swarm_id = s.swarm_id AND b.state IN ('stopped', 'open')
     LIMIT 1),
    (SELECT true
     FROM (
        SELECT DISTINCT l.lane
        FROM swarm_agents a
        -- As in `select_claimable_tasks.sql`.
        CROSS JOIN LATERAL (
            SELECT '' AS lane
            UNION ALL
            SELECT a.role || '/'
            UNION ALL
            SELECT x.role || '/' || x.capability
            FROM unnest(a.capabilities) AS k(capability)
            CROSS JOIN LATERAL (VALUES ('', k.capability), (a.role, k.capability)) AS x(role, capability)) l
        WHERE a.tenant_id = s.tenant_id AND a.swarm_id = s.swarm_id AND a.status = 'live' AND a.assignment = 'push'
            AND NOT a.draining AND a.role <> 'orchestrator' AND (a.capacity IS NULL OR a.load < a.capacity)) lanes
     WHERE COALESCE(
        (SELECT true
         FROM swarm_tasks
         WHERE tenant_id = s.tenant_id AND swarm_id = s.swarm_id AND lane = lanes.lane
            AND status = 'created' AND waiting_for IS NULL AND concurrency_key IS NULL
         LIMIT 1),
        (SELECT true
         FROM swarm_concurrency k
         CROSS JOIN LATERAL (
            SELECT 1
            FROM swarm_tasks
            WHERE tenant_id = s.tenant_id AND swarm_id = s.swarm_id AND concurrency_key = k.concurrency_key
                AND status = 'created' AND waiting_for IS NULL AND lane = lanes.lane
            LIMIT 1) t
         WHERE k.tenant_id = s.tenant_id AND k.swarm_id = s.swarm_id AND k.held < k.max_held AND k.ready > 0
         LIMIT 1),
        false)
     LIMIT 1),
    false)
LIMIT $1

-- Swarms where something other than an event moves a task: a lease ran out, a lost agent still holds tasks, a time has come, a
-- cancelled run or a stopped budget has open tasks, a budget gives again, or what waits fits an agent that listens.
SELECT s.tenant_id, s.swarm_id
FROM swarm_sequences s
WHERE EXISTS (
        SELECT 1 FROM swarm_tasks t
        WHERE t.tenant_id = s.tenant_id AND t.swarm_id = s.swarm_id AND t.lease_expires_at <= clock_timestamp())
    OR EXISTS (
        SELECT 1 FROM swarm_agents a
        WHERE a.tenant_id = s.tenant_id AND a.swarm_id = s.swarm_id AND a.status = 'lost' AND a.load > 0)
    OR EXISTS (
        SELECT 1 FROM swarm_tasks t
        WHERE t.tenant_id = s.tenant_id AND t.swarm_id = s.swarm_id AND t.status = 'created' AND t.waiting_for = 'time'
            AND t.run_at <= clock_timestamp())
    OR EXISTS (
        SELECT 1 FROM swarm_runs r
        WHERE r.tenant_id = s.tenant_id AND r.swarm_id = s.swarm_id AND r.state = 'cancelled'
            AND r.tasks_created > r.tasks_completed + r.tasks_failed + r.tasks_cancelled)
    OR EXISTS (
        SELECT 1 FROM swarm_budgets b
        JOIN swarm_tasks t ON t.tenant_id = b.tenant_id AND t.swarm_id = b.swarm_id AND t.budget_id = b.budget_id
        WHERE b.tenant_id = s.tenant_id AND b.swarm_id = s.swarm_id
            AND ((b.state = 'stopped' AND t.status IN ('created', 'assigned', 'running'))
                OR (b.state = 'open' AND t.status = 'created' AND t.waiting_for = 'budget')))
    OR (EXISTS (
            SELECT 1 FROM swarm_agents a
            WHERE a.tenant_id = s.tenant_id AND a.swarm_id = s.swarm_id AND a.status = 'live' AND a.assignment = 'push'
                AND a.role <> 'orchestrator')
        AND EXISTS (
            SELECT 1 FROM swarm_tasks t
            JOIN swarm_agents a ON a.tenant_id = t.tenant_id AND a.swarm_id = t.swarm_id AND a.status = 'live'
                AND a.assignment = 'push' AND NOT a.draining
                AND a.role <> 'orchestrator' AND (a.capacity IS NULL OR a.load < a.capacity)
                AND (t.wanted_role IS NULL OR t.wanted_role = a.role)
                AND (t.wanted_capability IS NULL OR t.wanted_capability = ANY (a.capabilities))
            LEFT JOIN swarm_concurrency k ON k.tenant_id = t.tenant_id AND k.swarm_id = t.swarm_id
                AND k.concurrency_key = t.concurrency_key
            WHERE t.tenant_id = s.tenant_id AND t.swarm_id = s.swarm_id AND t.status = 'created' AND t.waiting_for IS NULL
                AND (k.held IS NULL OR k.held < k.max_held)))
LIMIT $1

-- Budgets that were stopped or never used, and have no task left. What an open one has spent is still to be counted.
DELETE FROM swarm_budgets b
USING (
    SELECT o.budget_id
    FROM swarm_budgets o
    WHERE o.tenant_id = $1 AND o.swarm_id = $2 AND o.created_at < $3 AND o.updated_at < $3
        AND o.reserved = 0 AND (o.state = 'stopped' OR o.spent = 0)
        AND NOT EXISTS (
            SELECT 1 FROM swarm_tasks t
            WHERE t.tenant_id = o.tenant_id AND t.swarm_id = o.swarm_id AND t.budget_id = o.budget_id
                AND t.status IN ('created', 'assigned', 'running'))
        AND NOT EXISTS (
            SELECT 1 FROM swarm_tasks t
            WHERE t.tenant_id = o.tenant_id AND t.swarm_id = o.swarm_id AND t.budget_id = o.budget_id
                AND t.status IN ('completed', 'failed', 'cancelled'))
    LIMIT $4) old
WHERE b.tenant_id = $1 AND b.swarm_id = $2 AND b.budget_id = old.budget_id

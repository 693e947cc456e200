-- Tasks that ended, with their edges and settled reservations. Their runs note how many of their tasks are gone.
WITH gone AS (
    DELETE FROM swarm_tasks t
    USING unnest($3::text[]) AS ended(task_id)
    WHERE t.tenant_id = $1 AND t.swarm_id = $2 AND t.task_id = ended.task_id
        AND t.status IN ('completed', 'failed', 'cancelled')
    RETURNING t.task_id, t.run_id),
edges AS (
    DELETE FROM swarm_task_dependencies d
    USING (
        SELECT of.task_id, of.depends_on_id
        FROM gone
        JOIN swarm_task_dependencies of ON of.tenant_id = $1 AND of.swarm_id = $2 AND of.task_id = gone.task_id
        UNION
        SELECT onto.task_id, onto.depends_on_id
        FROM gone
        JOIN swarm_task_dependencies onto ON onto.tenant_id = $1 AND onto.swarm_id = $2 AND onto.depends_on_id = gone.task_id
    ) edge
    WHERE d.tenant_id = $1 AND d.swarm_id = $2 AND d.task_id = edge.task_id AND d.depends_on_id = edge.depends_on_id),
reservations AS (
    DELETE FROM swarm_budget_reservations r
    USING gone
    WHERE r.tenant_id = $1 AND r.swarm_id = $2 AND r.task_id = gone.task_id AND r.settled IS NOT NULL),
runs AS (
    UPDATE swarm_runs r
    SET tasks_pruned = r.tasks_pruned + counted.tasks
    FROM (SELECT run_id, count(*) AS tasks FROM gone GROUP BY run_id) counted
    WHERE r.tenant_id = $1 AND r.swarm_id = $2 AND r.run_id = counted.run_id)
SELECT count(*) FROM gone

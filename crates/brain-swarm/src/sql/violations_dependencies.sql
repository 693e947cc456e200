SELECT format('tenant %s, swarm %s: task %s is %s after %s attempts, but waits for %s dependencies',
    tenant_id, swarm_id, task_id, status, attempt,
    unmet_dependencies)
FROM swarm_tasks
WHERE unmet_dependencies > 0 AND status IN ('assigned', 'running', 'completed')
UNION ALL
SELECT format('tenant %s, swarm %s: task %s counts %s unmet dependencies, but there are %s',
    t.tenant_id, t.swarm_id, t.task_id, t.unmet_dependencies,
    COALESCE(edges.unmet, 0))
FROM swarm_tasks t
LEFT JOIN (
    SELECT tenant_id, swarm_id, task_id, count(*) AS unmet
    FROM swarm_task_dependencies
    WHERE NOT satisfied
    GROUP BY 1, 2, 3) edges USING (tenant_id, swarm_id, task_id)
WHERE t.status = 'created' AND t.unmet_dependencies <> COALESCE(edges.unmet, 0)
UNION ALL
SELECT format('tenant %s, swarm %s: task %s no longer waits for task %s, which is %s',
    d.tenant_id, d.swarm_id, d.task_id, d.depends_on_id, other.status)
FROM swarm_task_dependencies d
JOIN swarm_tasks other ON other.tenant_id = d.tenant_id AND other.swarm_id = d.swarm_id AND other.task_id = d.depends_on_id
JOIN swarm_tasks t ON t.tenant_id = d.tenant_id AND t.swarm_id = d.swarm_id AND t.task_id = d.task_id
WHERE d.satisfied AND other.status <> 'completed' AND t.on_dependency_failure <> 'run'

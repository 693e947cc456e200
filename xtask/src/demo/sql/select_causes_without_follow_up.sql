-- Created events from which not exactly one assignment of their task to a known agent follows.
SELECT format('event %s of task %s has %s follow-ups', cause.event_id, cause.task_id, count(follow_up.event_id))
FROM unnest($2::text[], $3::text[]) AS cause (event_id, task_id)
LEFT JOIN (SELECT assigned.event_id, assigned.causation_id, assigned.payload ->> 'taskId' AS task_id
           FROM swarm_events AS assigned
           JOIN swarm_agents AS agent
             ON agent.tenant_id = 'default' AND agent.swarm_id = $1
            AND agent.agent_id = assigned.payload ->> 'agentId'
           WHERE assigned.tenant_id = 'default' AND assigned.swarm_id = $1 AND assigned.event_type = 'task.assigned'
          ) AS follow_up
       ON follow_up.causation_id = cause.event_id AND follow_up.task_id = cause.task_id
GROUP BY cause.event_id, cause.task_id
HAVING count(follow_up.event_id) <> 1
ORDER BY 1

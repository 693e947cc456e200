-- Live agents that have not been heard for longer than $1 milliseconds.
SELECT tenant_id, swarm_id, agent_id, run_id, last_seen_at
FROM swarm_agents
WHERE status = 'live' AND last_seen_at < clock_timestamp() - $1 * interval '1 millisecond'
ORDER BY last_seen_at
LIMIT $2

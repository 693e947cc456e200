-- Moves every time that a lease or a silence is measured by, which is what a jump of the clock by $1 ms looks like.
-- Locks in the order of every writer: streams, then swarms.
WITH streams AS MATERIALIZED (SELECT stream_name FROM swarm_streams ORDER BY stream_name FOR UPDATE),
swarms AS MATERIALIZED (
    SELECT swarm_id FROM swarm_sequences WHERE (SELECT count(*) FROM streams) >= 0 ORDER BY tenant_id, swarm_id FOR UPDATE
),
jump AS MATERIALIZED (SELECT make_interval(secs => $1::bigint / 1000.0) AS by, (SELECT count(*) FROM swarms) AS locked),
leases AS (
    UPDATE swarm_streams SET lease_expires_at = lease_expires_at - jump.by FROM jump
    WHERE lease_expires_at IS NOT NULL RETURNING 1
),
replicas AS (UPDATE swarm_replicas SET last_seen_at = last_seen_at - jump.by FROM jump RETURNING 1),
agents AS (
    UPDATE swarm_agents SET last_seen_at = last_seen_at - jump.by FROM jump WHERE status = 'live' RETURNING 1
),
tasks AS (
    UPDATE swarm_tasks SET lease_expires_at = lease_expires_at - jump.by, run_at = run_at - jump.by FROM jump
    WHERE status IN ('created', 'running') AND (lease_expires_at IS NOT NULL OR run_at IS NOT NULL) RETURNING 1
)
SELECT (SELECT count(*) FROM leases) + (SELECT count(*) FROM replicas) + (SELECT count(*) FROM agents)
    + (SELECT count(*) FROM tasks)

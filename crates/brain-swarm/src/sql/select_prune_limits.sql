-- What holds the events of a swarm, read under its lock: the outbox, its open runs, the cursor of its stream $3. A run without
-- open tasks that nobody has touched since $4 is abandoned and holds nothing.
SELECT
    (SELECT first_seq FROM swarm_outbox WHERE tenant_id = $1 AND swarm_id = $2 ORDER BY outbox_id LIMIT 1),
    (
        SELECT r.first_seq
        FROM swarm_runs r
        WHERE r.tenant_id = $1 AND r.swarm_id = $2 AND r.state = 'open'
            AND (
                r.updated_at >= $4
                OR EXISTS (
                    SELECT 1 FROM swarm_tasks t
                    WHERE t.tenant_id = r.tenant_id AND t.swarm_id = r.swarm_id AND t.run_id = r.run_id
                        AND t.status IN ('created', 'assigned', 'running')))
        ORDER BY r.first_seq
        LIMIT 1),
    (SELECT cursor FROM swarm_streams WHERE stream_name = $3)

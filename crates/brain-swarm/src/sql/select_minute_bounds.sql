-- For each of the last sixty minutes the first number that was stored in it or after it. Numbers are given in the order of storing,
-- so each is found by halving: a few dozen look-ups by primary key, however much happened. An event that retention takes away
-- meanwhile counts as one from before.
WITH RECURSIVE halves AS (
    SELECT ago, date_trunc('minute', now()) - make_interval(mins => ago) AS begins, s.pruned_seq + 1 AS low, s.last_seq + 1 AS high
    FROM swarm_sequences s, generate_series(0, 59) AS ago
    WHERE s.tenant_id = $1 AND s.swarm_id = $2
    UNION ALL
    SELECT h.ago, h.begins, CASE WHEN e.later THEN h.low ELSE h.middle + 1 END, CASE WHEN e.later THEN h.middle ELSE h.high END
    FROM (SELECT *, low + (high - low) / 2 AS middle FROM halves WHERE low < high) h
    LEFT JOIN LATERAL (
        SELECT stored_at >= h.begins AS later
        FROM swarm_events
        WHERE tenant_id = $1 AND swarm_id = $2 AND seq = h.middle) e ON true)
SELECT h.begins, h.low, s.last_seq
FROM halves h, swarm_sequences s
WHERE h.low >= h.high AND s.tenant_id = $1 AND s.swarm_id = $2
ORDER BY h.begins

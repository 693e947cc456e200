SELECT format('tenant %s, swarm %s: last_seq is %s and events up to %s are pruned, but %s events run from %s to %s',
    s.tenant_id, s.swarm_id, s.last_seq,
    s.pruned_seq, COALESCE(e.events, 0), e.first, e.last)
FROM swarm_sequences s
FULL JOIN (
    SELECT tenant_id, swarm_id, count(*) AS events, min(seq) AS first, max(seq) AS last
    FROM swarm_events
    GROUP BY tenant_id, swarm_id) e USING (tenant_id, swarm_id)
WHERE s.last_seq IS NULL OR s.last_seq - s.pruned_seq <> COALESCE(e.events, 0)
    OR (s.last_seq > s.pruned_seq AND (e.first <> s.pruned_seq + 1 OR e.last <> s.last_seq))

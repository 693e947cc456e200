SELECT format('tenant %s: execution %s of proposal %s has no record of an approval of what was executed',
    e.tenant_id, e.execution_id, e.proposal_id)
FROM brain_capability_executions e
JOIN brain_capability_proposals p ON p.tenant_id = e.tenant_id AND p.proposal_id = e.proposal_id
WHERE e.status <> 'blocked' AND e.authority = 'approval'
    AND NOT EXISTS (
        SELECT 1 FROM brain_event_log l
        WHERE l.tenant_id = e.tenant_id AND l.action = 'capability.approve' AND l.target = e.proposal_id::text
            AND l.at <= e.started_at AND l.metadata ->> 'envelopeDigest' = p.envelope_digest)
UNION ALL
SELECT format('tenant %s: execution %s of proposal %s names exemption %s, which did not hold',
    e.tenant_id, e.execution_id, e.proposal_id, e.exemption_id)
FROM brain_capability_executions e
JOIN brain_capability_proposals p ON p.tenant_id = e.tenant_id AND p.proposal_id = e.proposal_id
WHERE e.kind = 'execute' AND e.authority = 'exemption'
    AND NOT EXISTS (
        SELECT 1 FROM brain_capability_exemption_events x
        WHERE x.tenant_id = e.tenant_id AND x.exemption_id = e.exemption_id AND x.action = 'granted'
            AND x.capability_id = p.capability_id AND x.at <= e.started_at AND x.expires_at > e.started_at)
UNION ALL
SELECT format('tenant %s: execution %s of proposal %s is not in the audit trail', e.tenant_id, e.execution_id, e.proposal_id)
FROM brain_capability_executions e
WHERE NOT EXISTS (
    SELECT 1 FROM brain_event_log l
    WHERE l.tenant_id = e.tenant_id AND l.action IN ('capability.execute', 'capability.rollback')
        AND l.target = e.proposal_id::text AND l.metadata ->> 'executionId' = e.execution_id::text)
UNION ALL
SELECT format('tenant %s: proposal %s is executed without an execution', p.tenant_id, p.proposal_id)
FROM brain_capability_proposals p
WHERE p.status = 'executed'
    AND NOT EXISTS (
        SELECT 1 FROM brain_capability_executions e
        WHERE e.tenant_id = p.tenant_id AND e.proposal_id = p.proposal_id AND e.kind = 'execute' AND e.status <> 'blocked')

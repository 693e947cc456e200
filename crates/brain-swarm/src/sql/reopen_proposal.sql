UPDATE brain_capability_proposals
SET status = 'pending_approval', decided_by = NULL, decided_at = NULL, decision_reason = NULL, envelope_digest = NULL,
    expires_at = NULL, updated_at = clock_timestamp()
WHERE proposal_id = $1 AND tenant_id = $2

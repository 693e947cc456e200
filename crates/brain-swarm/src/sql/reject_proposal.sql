UPDATE brain_capability_proposals
SET status = 'rejected', decided_by = $3, decided_at = clock_timestamp(), decision_reason = $4, envelope_digest = NULL,
    expires_at = NULL, updated_at = clock_timestamp()
WHERE proposal_id = $1 AND tenant_id = $2

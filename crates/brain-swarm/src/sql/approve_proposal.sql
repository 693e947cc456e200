UPDATE brain_capability_proposals
SET status = 'approved', decided_by = $3, decided_at = clock_timestamp(), decision_reason = $4, definition_digest = $5,
    policy_version = $6, envelope_digest = $7, expires_at = $8, updated_at = clock_timestamp()
WHERE proposal_id = $1 AND tenant_id = $2

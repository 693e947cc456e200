INSERT INTO brain_capability_proposals (
    proposal_id, tenant_id, capability_id, requested_by, actor_id, owner_id, delegation_id, rationale, input_hash, input,
    preview, status, intake_rule, intake_reason, definition_digest, policy_version
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)

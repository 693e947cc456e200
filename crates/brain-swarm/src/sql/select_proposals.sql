WITH page AS (
    SELECT *
    FROM brain_capability_proposals
    WHERE tenant_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR capability_id = $3)
        AND proposal_id < $4
    ORDER BY proposal_id DESC
    LIMIT $5
), weighed AS (
    SELECT *, count(*) OVER () AS found, sum(octet_length(input)) OVER (ORDER BY proposal_id DESC) - octet_length(input) AS before
    FROM page
)
SELECT proposal_id, tenant_id, capability_id, requested_by, actor_id, owner_id, delegation_id, rationale, input_hash, input, preview,
    status, intake_rule, intake_reason, decided_by, decided_at, decision_reason, expires_at, envelope_digest,
    definition_digest, policy_version, created_at, updated_at,
    found
FROM weighed
WHERE before < $6
ORDER BY proposal_id DESC

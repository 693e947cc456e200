SELECT FROM brain_capability_proposals WHERE proposal_id = $1 AND tenant_id = $2 FOR UPDATE

INSERT INTO brain_audit_keys (key_id, public_key, endorsed_by, endorsement, created_at)
VALUES ($1, $2, $3, $4, clock_timestamp())

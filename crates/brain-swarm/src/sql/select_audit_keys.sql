SELECT key_id, public_key, endorsed_by, endorsement
FROM brain_audit_keys
ORDER BY created_at, key_id

INSERT INTO event_schemas (tenant_id, event_type, version, schema, compatibility, created_by)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING created_at

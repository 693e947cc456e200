-- The newest version comes first: it is what a new one is compared with.
SELECT version, schema, compatibility, created_by, created_at
FROM event_schemas
WHERE tenant_id = $1 AND event_type = $2
ORDER BY version DESC

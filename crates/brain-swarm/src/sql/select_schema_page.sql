SELECT event_type, version, schema, compatibility, created_by, created_at
FROM event_schemas
WHERE tenant_id = $1
  AND (event_type, version) > ($2, $3)
  AND ($4::text IS NULL OR event_type = $4)
ORDER BY event_type, version
LIMIT $5

INSERT INTO brain_skills (tenant_id, name, version, digest, publisher, description, granted, installed_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant_id, name, version) DO UPDATE
SET publisher = excluded.publisher, description = excluded.description, granted = excluded.granted,
    installed_by = excluded.installed_by, installed_at = clock_timestamp(), removed_by = NULL, removed_at = NULL
WHERE brain_skills.digest = excluded.digest
RETURNING installed_at

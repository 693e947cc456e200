SELECT name, version, digest, publisher, description, granted, installed_by, installed_at
FROM brain_skills
WHERE tenant_id = $1 AND removed_at IS NULL AND (name, version) > ($2, $3)
ORDER BY name, version
LIMIT $4

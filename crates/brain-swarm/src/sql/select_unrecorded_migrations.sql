WITH migrations AS (
    SELECT version, lpad(version::text, 3, '0') || '_' || name || '.sql' AS file_name, checksum, applied_at
    FROM brain_migrations
)
SELECT file_name, checksum, applied_at
FROM migrations
WHERE NOT EXISTS (
    SELECT FROM brain_event_log
    WHERE tenant_id = $1 AND action = 'migration.apply' AND target = file_name
)
ORDER BY version

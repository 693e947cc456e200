SELECT version, name, checksum, applied_at, duration_ms
FROM brain_migrations
ORDER BY version

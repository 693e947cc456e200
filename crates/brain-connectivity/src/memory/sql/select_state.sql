SELECT to_regclass('swarm_memory') IS NOT NULL AS migrated,
       COALESCE(column_.atttypid = to_regtype('vector'), false) AS adopted,
       col_description(to_regclass('swarm_memory'), column_.attnum) AS remembered,
       to_regtype('vector') IS NOT NULL AS visible,
       (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS created,
       (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS available,
       current_setting('server_version_num')::integer / 10000 AS server_major
FROM (VALUES (0)) AS one
LEFT JOIN pg_attribute AS column_
       ON column_.attrelid = to_regclass('swarm_memory') AND column_.attname = 'embedding'

-- One row for each table, column, constraint and index of the current schema, apart from what extensions own and
-- from the record of the migrations itself.
WITH tables AS (
    SELECT c.oid, c.relname::text AS name
    FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace
      AND c.relkind IN ('r', 'p')
      AND c.relname <> 'brain_migrations'
      AND NOT EXISTS (
          SELECT FROM pg_depend d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      )
)
SELECT 'table' AS kind, name AS table_name, '' AS name, '' AS definition
FROM tables
UNION ALL
SELECT 'column', t.name, a.attname::text,
       format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
FROM tables t
JOIN pg_attribute a ON a.attrelid = t.oid
WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL
-- PostgreSQL 18 lists NOT NULL among the constraints; it is part of the column here, as in the versions before.
SELECT 'constraint', t.name, c.conname::text, pg_get_constraintdef(c.oid)
FROM tables t
JOIN pg_constraint c ON c.conrelid = t.oid
WHERE c.contype IN ('p', 'u', 'c', 'f', 'x')
UNION ALL
SELECT 'index', t.name, i.relname::text, CASE WHEN x.indisunique THEN 'unique' ELSE '' END
FROM tables t
JOIN pg_index x ON x.indrelid = t.oid
JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indisvalid
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.oid AND c.conrelid = t.oid)

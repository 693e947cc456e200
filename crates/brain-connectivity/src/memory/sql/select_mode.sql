-- A vector column whose type is not on the search path is read like an array: `<=>` would not be found.
SELECT EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = to_regclass('swarm_memory') AND attname = 'embedding' AND atttypid = to_regtype('vector')
) AS pgvector

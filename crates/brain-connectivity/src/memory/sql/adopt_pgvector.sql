BEGIN;
-- Rewriting the table takes as long as it takes; waiting for those who use it does not.
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '30s';
CREATE EXTENSION IF NOT EXISTS vector;
-- Searches rely on `dimensions`, so that no embedding of another size reaches `<=>`.
ALTER TABLE swarm_memory
    DROP CONSTRAINT IF EXISTS swarm_memory_vector_dims,
    ALTER COLUMN embedding TYPE vector USING embedding::vector,
    ADD CONSTRAINT swarm_memory_vector_dims CHECK (vector_dims(embedding) = dimensions);
COMMENT ON COLUMN swarm_memory.embedding IS NULL;
COMMIT;

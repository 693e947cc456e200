-- The nearest by pgvector's own arithmetic, nearest first. The CASE keeps `<=>`, which fails on another number of
-- dimensions, from seeing any, in whatever order the conditions are evaluated. (`vector_dims` would read every
-- embedding a second time.)
SELECT memory_id, embedding::real[] AS embedding, distance
FROM (
    SELECT memory_id, embedding,
           CASE WHEN dimensions = $5 THEN embedding <=> $6::real[]::vector END AS distance
    FROM swarm_memory
    WHERE tenant_id = $1
      AND ($2::text IS NULL OR agent_id = $2)
      AND ($3::text IS NULL OR run_id = $3)
      AND ($4::jsonb IS NULL OR metadata @> $4)
      AND dimensions = $5
    ORDER BY distance
    LIMIT $7
) AS nearest
ORDER BY distance

-- Everything at most $8 further away than the $7th nearest, in any order.
WITH measured AS NOT MATERIALIZED (
    SELECT memory_id, embedding,
           CASE WHEN dimensions = $5 THEN embedding <=> $6::real[]::vector END AS distance
    FROM swarm_memory
    WHERE tenant_id = $1
      AND ($2::text IS NULL OR agent_id = $2)
      AND ($3::text IS NULL OR run_id = $3)
      AND ($4::jsonb IS NULL OR metadata @> $4)
      AND dimensions = $5
),
nearest AS (
    SELECT distance FROM measured ORDER BY distance LIMIT $7
),
furthest AS MATERIALIZED (
    SELECT max(distance) AS distance FROM nearest
)
SELECT memory_id, embedding::real[] AS embedding
FROM measured
WHERE distance <= (SELECT distance FROM furthest) + $8

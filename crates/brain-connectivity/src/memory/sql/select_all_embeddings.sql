SELECT memory_id, embedding::real[] AS embedding
FROM swarm_memory
WHERE tenant_id = $1
  AND ($2::text IS NULL OR agent_id = $2)
  AND ($3::text IS NULL OR run_id = $3)
  AND ($4::jsonb IS NULL OR metadata @> $4)
  AND dimensions = $5

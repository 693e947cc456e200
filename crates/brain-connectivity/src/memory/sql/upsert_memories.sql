-- $8 holds all embeddings one after another: an array of arrays could not hold memories without one.
INSERT INTO swarm_memory (tenant_id, memory_id, agent_id, run_id, content, metadata, embedding, dimensions)
SELECT $1, memory_id, agent_id, run_id, content, metadata,
       CASE WHEN first IS NOT NULL THEN ($8::real[])[first : first + $9 - 1] END,
       CASE WHEN first IS NOT NULL THEN $9 END
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::integer[])
     AS given (memory_id, agent_id, run_id, content, metadata, first)
-- Everybody locks rows in the same order, so that two batches cannot wait for each other.
ORDER BY memory_id
ON CONFLICT (tenant_id, memory_id) DO UPDATE SET
    agent_id = excluded.agent_id,
    run_id = excluded.run_id,
    content = excluded.content,
    metadata = excluded.metadata,
    embedding = excluded.embedding,
    dimensions = excluded.dimensions,
    updated_at = now()

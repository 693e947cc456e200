-- Any of the words is enough; the more of them, and the more often in fewer words, the better.
WITH wanted AS (
    SELECT replace(plainto_tsquery('simple', $5)::text, ' & ', ' | ')::tsquery AS words
)
SELECT memory_id, ts_rank(search, words, 1)::double precision AS rank
FROM swarm_memory, wanted
WHERE tenant_id = $1
  AND ($2::text IS NULL OR agent_id = $2)
  AND ($3::text IS NULL OR run_id = $3)
  AND ($4::jsonb IS NULL OR metadata @> $4)
  AND search @@ words
ORDER BY rank DESC, memory_id
LIMIT $6

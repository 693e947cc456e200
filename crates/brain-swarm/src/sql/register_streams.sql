INSERT INTO swarm_streams (stream_name, base_name)
SELECT stream_name, $2
FROM unnest($1::text[]) AS new(stream_name)
ON CONFLICT (stream_name) DO UPDATE
SET base_name = EXCLUDED.base_name
WHERE swarm_streams.base_name <> EXCLUDED.base_name

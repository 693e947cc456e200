-- Wakes relays of these streams, and claims that wait for tasks of these swarms, on other replicas.
SELECT pg_notify('studio_brain_outbox', stream)
FROM unnest($1::text[]) AS outbox(stream)
UNION ALL
SELECT pg_notify('studio_brain_tasks', $2 || '/' || swarm)
FROM unnest($3::text[]) AS ready(swarm)

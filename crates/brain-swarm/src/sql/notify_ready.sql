-- Wakes the claims that wait for tasks of these swarms, on whichever replica.
SELECT pg_notify('studio_brain_tasks', swarm)
FROM unnest($1::text[]) AS ready(swarm)

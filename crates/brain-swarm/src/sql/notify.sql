-- Wakes who listens on other replicas: one notification for each name.
SELECT pg_notify($1, $2 || name)
FROM unnest($3::text[]) AS rung(name)

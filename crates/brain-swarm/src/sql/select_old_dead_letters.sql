-- The ids are time-ordered: what was made after $2 is not even looked at.
SELECT d.dead_letter_id, d.created_at < $3, d.entry_id, s.cursor
FROM (
    SELECT dead_letter_id, stream_name, entry_id, created_at
    FROM swarm_dead_letters
    WHERE dead_letter_id > $1 AND dead_letter_id < $2
    ORDER BY dead_letter_id
    LIMIT $4) d
LEFT JOIN swarm_streams s ON s.stream_name = d.stream_name
ORDER BY d.dead_letter_id

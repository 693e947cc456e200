-- In order and without waiting, so that two who prune at once neither block nor count a letter twice.
DELETE FROM swarm_dead_letters d
USING (
    SELECT dead_letter_id
    FROM swarm_dead_letters
    WHERE dead_letter_id = ANY ($1)
    ORDER BY dead_letter_id
    FOR UPDATE SKIP LOCKED) old
WHERE d.dead_letter_id = old.dead_letter_id
RETURNING d.status = 'parked'

UPDATE swarm_dead_letters
SET status = $3, resolved_at = clock_timestamp()
WHERE tenant_id = $1 AND dead_letter_id = $2 AND status = 'parked'

SELECT format('dead letter %s of event %s: %s, %s', dead_letter_id, coalesce(event_id, '(unknown)'), reason, detail)
FROM swarm_dead_letters
WHERE tenant_id = 'default' AND swarm_id = $1
ORDER BY dead_letter_id

-- Dead letters other than entries that a foreign client added twice.
SELECT format('%s entry %s: %s: %s (event %s)', stream_name, entry_id, reason, detail, event_id)
FROM swarm_dead_letters
WHERE reason <> 'duplicate'

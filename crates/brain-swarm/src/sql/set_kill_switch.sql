WITH switch AS (
    INSERT INTO brain_capability_kill_switches (tenant_id, enabled, reason, actor_id)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant_id) DO UPDATE
    SET enabled = excluded.enabled, reason = excluded.reason, actor_id = excluded.actor_id,
        changed_at = clock_timestamp()
    RETURNING changed_at
)
INSERT INTO brain_capability_kill_switch_events (event_id, tenant_id, enabled, actor_id, reason, at)
SELECT $5, $1, $2, $4, $3, changed_at FROM switch

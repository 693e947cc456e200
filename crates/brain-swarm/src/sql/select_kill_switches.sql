SELECT tenant_id, enabled, reason, actor_id, changed_at
FROM brain_capability_kill_switches
WHERE tenant_id IN ('*', $1)

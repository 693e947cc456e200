SELECT tenant_id FROM brain_audit_heads
UNION
SELECT tenant_id FROM brain_event_log
UNION
SELECT tenant_id FROM brain_audit_checkpoints
ORDER BY tenant_id

SELECT tenant_id, max(number)
FROM event_schemas
WHERE number > $1
GROUP BY tenant_id

-- Only what is still planned as it was read: another replica may have been here, or a caller may have changed the schedule.
UPDATE swarm_schedules s
SET next_at = done.next_at, last_fired_at = COALESCE(done.fired_at, s.last_fired_at),
    last_task_id = COALESCE(done.task_id, s.last_task_id)
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::text[])
    AS done (tenant_id, swarm_id, schedule_id, planned_at, next_at, fired_at, task_id)
WHERE s.tenant_id = done.tenant_id AND s.swarm_id = done.swarm_id AND s.schedule_id = done.schedule_id
    AND s.next_at = done.planned_at

-- Why: recurring work. A schedule says by cron and time zone when which task is to be created, and remembers what comes next.
CREATE TABLE swarm_schedules (
    tenant_id     text COLLATE "C" NOT NULL DEFAULT 'default',
    swarm_id      text COLLATE "C" NOT NULL,
    schedule_id   text COLLATE "C" NOT NULL,
    cron          text COLLATE "C" NOT NULL,
    time_zone     text COLLATE "C" NOT NULL,
    missed_runs   text COLLATE "C" NOT NULL,
    -- What each task is made of: the payload of task.created without its id.
    task          jsonb NOT NULL,
    enabled       boolean NOT NULL,
    -- The planned time that is handled next; null: none is.
    next_at       timestamptz,
    -- The planned time of the newest firing, and its task.
    last_fired_at timestamptz,
    last_task_id  text COLLATE "C",
    -- Who creates the tasks.
    actor_id      text COLLATE "C" NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, swarm_id, schedule_id),
    CONSTRAINT swarm_schedules_missed_runs CHECK (missed_runs IN ('skip', 'once', 'all')),
    CONSTRAINT swarm_schedules_task CHECK (jsonb_typeof(task) = 'object'),
    CONSTRAINT swarm_schedules_disabled CHECK (enabled OR next_at IS NULL)
);

-- What is due, in the order of time, over all swarms.
CREATE INDEX swarm_schedules_due ON swarm_schedules (next_at) WHERE next_at IS NOT NULL;

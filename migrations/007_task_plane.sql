-- Why: tasks have leases with fencing tokens, dependencies, delays, concurrency keys, budgets and a readable history; runs have
-- a state and totals. New columns have constant defaults, so that old replicas can go on writing while this is rolled out.
ALTER TABLE swarm_tasks
    -- The place in the queue: the seq of the event that created the task.
    ADD COLUMN position              bigint NOT NULL DEFAULT 0,
    -- Role and capability wanted, as one key of the queue.
    ADD COLUMN lane                  text COLLATE "C" NOT NULL DEFAULT '',
    -- What a created task waits for; null: it is ready.
    ADD COLUMN waiting_for           text COLLATE "C",
    ADD COLUMN run_at                timestamptz,
    ADD COLUMN fencing_token         bigint NOT NULL DEFAULT 0,
    ADD COLUMN lease_ms              integer,
    ADD COLUMN lease_expires_at      timestamptz,
    ADD COLUMN concurrency_key       text COLLATE "C",
    ADD COLUMN wanted_agent_id       text COLLATE "C",
    ADD COLUMN parent_task_id        text COLLATE "C",
    ADD COLUMN budget_id             text COLLATE "C",
    ADD COLUMN reserved_units        bigint NOT NULL DEFAULT 0,
    ADD COLUMN unmet_dependencies    integer NOT NULL DEFAULT 0,
    ADD COLUMN on_dependency_failure text COLLATE "C" NOT NULL DEFAULT 'cancel',
    ADD COLUMN backoff               jsonb,
    ADD COLUMN progress              jsonb,
    -- Attempts that did not complete, oldest first.
    ADD COLUMN history               jsonb,
    ADD COLUMN started_at            timestamptz,
    ADD COLUMN correlation_id        text COLLATE "C",
    ADD COLUMN runbook_id            text COLLATE "C",
    ADD COLUMN traceparent           text COLLATE "C",
    ADD COLUMN tracestate            text COLLATE "C",
    ADD CONSTRAINT swarm_tasks_waiting_for CHECK (waiting_for IN ('time', 'dependencies', 'budget')),
    ADD CONSTRAINT swarm_tasks_policy CHECK (on_dependency_failure IN ('cancel', 'wait', 'run')),
    ADD CONSTRAINT swarm_tasks_unmet CHECK (unmet_dependencies >= 0),
    ADD CONSTRAINT swarm_tasks_lease CHECK (lease_expires_at IS NULL OR status = 'running');

-- What exists already keeps its place and its lane.
UPDATE swarm_tasks t
SET position = e.seq, correlation_id = e.correlation_id, runbook_id = e.runbook_id, traceparent = e.traceparent,
    tracestate = e.tracestate
FROM swarm_events e
WHERE e.event_id = t.created_event_id AND e.swarm_id = t.swarm_id AND e.tenant_id = t.tenant_id;
UPDATE swarm_tasks
SET lane = COALESCE(wanted_role, '') || '/' || COALESCE(wanted_capability, '')
WHERE wanted_role IS NOT NULL OR wanted_capability IS NOT NULL;

-- The queue: ready tasks without a concurrency key, lane by lane, in the order in which they are handed out.
CREATE INDEX swarm_tasks_ready ON swarm_tasks (tenant_id, swarm_id, lane, priority DESC, position)
    WHERE status = 'created' AND waiting_for IS NULL AND concurrency_key IS NULL;

-- The queue of each concurrency key.
CREATE INDEX swarm_tasks_ready_by_key ON swarm_tasks (tenant_id, swarm_id, concurrency_key, priority DESC, position)
    WHERE status = 'created' AND waiting_for IS NULL AND concurrency_key IS NOT NULL;

CREATE INDEX swarm_tasks_delayed ON swarm_tasks (tenant_id, swarm_id, run_at)
    WHERE status = 'created' AND waiting_for = 'time';

CREATE INDEX swarm_tasks_leased ON swarm_tasks (tenant_id, swarm_id, lease_expires_at)
    WHERE lease_expires_at IS NOT NULL;

-- Cancelling a run or a budget finds what is open. What is looked for leads, here and below: an index that begins like the primary key
-- looks as good as it to a planner that knows nothing of the table yet, and is then walked whole.
CREATE INDEX swarm_tasks_open_by_run ON swarm_tasks (run_id, swarm_id, tenant_id)
    WHERE status IN ('created', 'assigned', 'running');
CREATE INDEX swarm_tasks_open_by_budget ON swarm_tasks (budget_id, swarm_id, tenant_id)
    WHERE status IN ('created', 'assigned', 'running') AND budget_id IS NOT NULL;

DROP INDEX swarm_tasks_waiting;

-- An edge: the task waits for the one it depends on.
CREATE TABLE swarm_task_dependencies (
    tenant_id     text COLLATE "C" NOT NULL DEFAULT 'default',
    swarm_id      text COLLATE "C" NOT NULL,
    task_id       text COLLATE "C" NOT NULL,
    depends_on_id text COLLATE "C" NOT NULL,
    satisfied     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (depends_on_id, task_id, swarm_id, tenant_id),
    CHECK (task_id <> depends_on_id)
);

CREATE INDEX swarm_task_dependencies_of ON swarm_task_dependencies (task_id, swarm_id, tenant_id);

-- How many tasks of a concurrency key agents hold, and how many are ready for them.
CREATE TABLE swarm_concurrency (
    tenant_id       text COLLATE "C" NOT NULL DEFAULT 'default',
    swarm_id        text COLLATE "C" NOT NULL,
    concurrency_key text COLLATE "C" NOT NULL,
    max_held        integer NOT NULL CHECK (max_held >= 1),
    held            integer NOT NULL DEFAULT 0 CHECK (held >= 0),
    ready           integer NOT NULL DEFAULT 0 CHECK (ready >= 0),
    -- When one of its tasks was last started: keys take turns.
    served_at       timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (tenant_id, swarm_id, concurrency_key)
) WITH (fillfactor = 70);

CREATE INDEX swarm_concurrency_open ON swarm_concurrency (tenant_id, swarm_id, served_at)
    WHERE held < max_held AND ready > 0;

-- The runs of a swarm with the totals of their tasks. A run that nobody started is there because a task names it.
CREATE TABLE swarm_runs (
    tenant_id       text COLLATE "C" NOT NULL DEFAULT 'default',
    swarm_id        text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C" NOT NULL,
    state           text COLLATE "C" NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'finished', 'cancelled')),
    first_seq       bigint NOT NULL,
    tasks_created   bigint NOT NULL DEFAULT 0,
    tasks_completed bigint NOT NULL DEFAULT 0,
    tasks_failed    bigint NOT NULL DEFAULT 0,
    tasks_cancelled bigint NOT NULL DEFAULT 0,
    summary         jsonb,
    started_at      timestamptz,
    finished_at     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, swarm_id, run_id)
) WITH (fillfactor = 70);

-- Cancelled runs of which tasks are still open.
CREATE INDEX swarm_runs_to_cancel ON swarm_runs (tenant_id, swarm_id)
    WHERE state = 'cancelled' AND tasks_created > tasks_completed + tasks_failed + tasks_cancelled;

CREATE INDEX swarm_runs_open ON swarm_runs (tenant_id, swarm_id, first_seq) WHERE state = 'open';

-- The runs that tasks name already, with their totals.
INSERT INTO swarm_runs (tenant_id, swarm_id, run_id, first_seq, tasks_created, tasks_completed, tasks_failed, tasks_cancelled)
SELECT tenant_id, swarm_id, run_id, min(position), count(*), count(*) FILTER (WHERE status = 'completed'),
    count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'cancelled')
FROM swarm_tasks
GROUP BY tenant_id, swarm_id, run_id;

-- What a tree of tasks may spend, in whole units of whatever it counts.
CREATE TABLE swarm_budgets (
    tenant_id  text COLLATE "C" NOT NULL DEFAULT 'default',
    swarm_id   text COLLATE "C" NOT NULL,
    budget_id  text COLLATE "C" NOT NULL,
    unit       text NOT NULL,
    max_units  bigint NOT NULL CHECK (max_units >= 0),
    reserved   bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    spent      bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),
    state      text COLLATE "C" NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paused', 'stopped')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, swarm_id, budget_id),
    CONSTRAINT swarm_budgets_never_overspent CHECK (reserved + spent <= max_units)
) WITH (fillfactor = 70);

CREATE TABLE swarm_budget_reservations (
    tenant_id      text COLLATE "C" NOT NULL DEFAULT 'default',
    swarm_id       text COLLATE "C" NOT NULL,
    reservation_id text COLLATE "C" NOT NULL,
    budget_id      text COLLATE "C" NOT NULL,
    task_id        text COLLATE "C" NOT NULL,
    fencing_token  bigint NOT NULL,
    units          bigint NOT NULL CHECK (units > 0),
    -- What was spent of it; null while it is open.
    settled        bigint CHECK (settled BETWEEN 0 AND units),
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, swarm_id, reservation_id)
);

CREATE INDEX swarm_budget_reservations_open ON swarm_budget_reservations (task_id, swarm_id, tenant_id) WHERE settled IS NULL;

-- Agents that claim (`pull`) are given only what names them; those that listen (`push`) are given what fits.
ALTER TABLE swarm_agents
    ADD COLUMN assignment text COLLATE "C" NOT NULL DEFAULT 'push',
    ADD COLUMN draining   boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT swarm_agents_assignment CHECK (assignment IN ('push', 'pull'));

-- Those that are given tasks are read with every batch.
CREATE INDEX swarm_agents_pushed ON swarm_agents (tenant_id, swarm_id) WHERE status = 'live' AND assignment = 'push';

-- The inbox of an agent, and what is said to a whole run.
CREATE INDEX swarm_events_inbox ON swarm_events (tenant_id, swarm_id, (payload ->> 'toAgentId'), seq)
    WHERE event_type = 'agent.message' AND payload ? 'toAgentId';
CREATE INDEX swarm_events_run_messages ON swarm_events (tenant_id, swarm_id, (payload ->> 'toRunId'), seq)
    WHERE event_type = 'agent.message' AND payload ? 'toRunId';

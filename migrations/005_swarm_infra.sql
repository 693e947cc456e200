-- Why: agents, tasks, events and memory of the swarm, with the columns and checks of the hand-off guide.
-- Ids are text in the "C" collation: they are compared as bytes, which is what equality of ids means, and is faster.
CREATE TABLE swarm_agents (
    tenant_id    text COLLATE "C" NOT NULL DEFAULT 'default',
    swarm_id     text COLLATE "C" NOT NULL,
    agent_id     text COLLATE "C" NOT NULL,
    run_id       text COLLATE "C" NOT NULL,
    role         text COLLATE "C" NOT NULL DEFAULT 'worker',
    capabilities text[] NOT NULL DEFAULT '{}',
    capacity     integer CHECK (capacity > 0),
    status       text COLLATE "C" NOT NULL DEFAULT 'live' CHECK (status IN ('live', 'lost')),
    load         integer NOT NULL DEFAULT 0 CHECK (load >= 0),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, swarm_id, agent_id)
) WITH (fillfactor = 70);

CREATE TABLE swarm_tasks (
    tenant_id         text COLLATE "C" NOT NULL DEFAULT 'default',
    swarm_id          text COLLATE "C" NOT NULL,
    task_id           text COLLATE "C" NOT NULL,
    run_id            text COLLATE "C" NOT NULL,
    status            text COLLATE "C" NOT NULL CHECK (status IN ('created', 'assigned', 'running', 'completed', 'failed', 'cancelled')),
    assigned_agent_id text COLLATE "C",
    wanted_role       text COLLATE "C",
    wanted_capability text COLLATE "C",
    priority          smallint NOT NULL DEFAULT 0,
    attempt           integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    max_attempts      integer NOT NULL DEFAULT 3 CHECK (max_attempts >= 1),
    inputs            jsonb NOT NULL DEFAULT '{}',
    outputs           jsonb,
    error             text,
    created_event_id  text COLLATE "C" NOT NULL,
    terminal_event_id text COLLATE "C",
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, swarm_id, task_id),
    CONSTRAINT swarm_tasks_attempts CHECK (attempt <= max_attempts),
    CONSTRAINT swarm_tasks_assignee CHECK (assigned_agent_id IS NOT NULL OR status NOT IN ('assigned', 'running')),
    CONSTRAINT swarm_tasks_terminal CHECK ((terminal_event_id IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled')))
);

-- The tasks that wait for an agent, in the order in which one is handed them.
CREATE INDEX swarm_tasks_waiting ON swarm_tasks (tenant_id, swarm_id, priority DESC, created_at, task_id)
    WHERE status = 'created';

-- What a lost agent held.
CREATE INDEX swarm_tasks_held ON swarm_tasks (tenant_id, swarm_id, assigned_agent_id)
    WHERE status IN ('assigned', 'running');

-- seq orders the events of one swarm as they were committed, 1..n without gaps.
CREATE TABLE swarm_events (
    tenant_id       text COLLATE "C" NOT NULL DEFAULT 'default',
    swarm_id        text COLLATE "C" NOT NULL,
    seq             bigint NOT NULL CHECK (seq > 0),
    event_id        text COLLATE "C" NOT NULL,
    event_type      text COLLATE "C" NOT NULL CONSTRAINT swarm_events_type CHECK (event_type LIKE '_%._%'),
    schema_version  smallint NOT NULL DEFAULT 1 CHECK (schema_version > 0),
    run_id          text COLLATE "C" NOT NULL,
    actor_id        text COLLATE "C" NOT NULL,
    payload         jsonb NOT NULL,
    correlation_id  text COLLATE "C",
    causation_id    text COLLATE "C",
    runbook_id      text COLLATE "C",
    traceparent     text COLLATE "C",
    tracestate      text COLLATE "C",
    stream_entry_id text COLLATE "C",
    note            text,
    created_at      timestamptz NOT NULL,
    stored_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, swarm_id, seq),
    -- The id leads, so that a look-up by id cannot be planned as a walk over the whole swarm.
    CONSTRAINT swarm_events_id UNIQUE (event_id, swarm_id, tenant_id)
);

COMMENT ON COLUMN swarm_events.stream_entry_id IS 'the stream entry that brought the event; null when it came another way and the outbox sends it';
COMMENT ON COLUMN swarm_events.note IS 'why the event changed nothing; null when it took effect or had none to take';

-- swarm_memory: what agents remember. Where pgvector can be created the embedding is a `vector`, else an array of floats.
-- The conversion is done after the migrations, because an extension that cannot be created must not stop them.
CREATE TABLE swarm_memory (
    tenant_id  text COLLATE "C" NOT NULL DEFAULT 'default',
    memory_id  text COLLATE "C" NOT NULL,
    agent_id   text COLLATE "C" NOT NULL,
    run_id     text COLLATE "C" NOT NULL,
    content    text NOT NULL,
    metadata   jsonb NOT NULL DEFAULT '{}',
    embedding  real[],
    dimensions integer,
    -- A tsvector holds at most 1 MiB; of a longer text the beginning is found.
    search     tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', left(content, 131072))) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, memory_id),
    CONSTRAINT swarm_memory_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT swarm_memory_dimensions CHECK ((embedding IS NULL) = (dimensions IS NULL) AND dimensions > 0)
);

CREATE INDEX swarm_memory_search ON swarm_memory USING gin (search);
CREATE INDEX swarm_memory_metadata_contains ON swarm_memory USING gin (metadata jsonb_path_ops);

-- Tells at once whether there are embeddings of another size than the configured one.
CREATE INDEX swarm_memory_sizes ON swarm_memory (dimensions) WHERE dimensions IS NOT NULL;

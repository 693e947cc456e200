-- Why: the flow itself is durable: sequence numbers, outbox, stream cursors with their leases, replicas, dead letters.

-- Locking a row of this table is the right to write to that swarm; last_seq is the newest committed number.
CREATE TABLE swarm_sequences (
    tenant_id  text COLLATE "C" NOT NULL DEFAULT 'default',
    swarm_id   text COLLATE "C" NOT NULL,
    last_seq   bigint NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, swarm_id)
) WITH (fillfactor = 50);

-- One row for each committed batch and swarm: the numbers of the events that the stream has not seen yet.
CREATE TABLE swarm_outbox (
    outbox_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_name text COLLATE "C" NOT NULL,
    tenant_id   text COLLATE "C" NOT NULL,
    swarm_id    text COLLATE "C" NOT NULL,
    first_seq   bigint NOT NULL,
    last_seq    bigint NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (first_seq BETWEEN 1 AND last_seq)
);

CREATE INDEX swarm_outbox_by_stream ON swarm_outbox (stream_name, outbox_id);

-- One row for each stream (partition): how far it is consumed, and who may consume it.
CREATE TABLE swarm_streams (
    stream_name      text COLLATE "C" PRIMARY KEY,
    base_name        text COLLATE "C" NOT NULL,
    cursor           text COLLATE "C",
    lease_owner      text COLLATE "C",
    lease_expires_at timestamptz,
    fencing_token    bigint NOT NULL DEFAULT 0,
    updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- The replicas that consume, so that each knows its fair share of the streams.
CREATE TABLE swarm_replicas (
    replica_id   text COLLATE "C" PRIMARY KEY,
    base_name    text COLLATE "C" NOT NULL,
    host         text NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE swarm_dead_letters (
    dead_letter_id uuid PRIMARY KEY,
    tenant_id      text COLLATE "C" NOT NULL DEFAULT 'default',
    stream_name    text COLLATE "C" NOT NULL,
    entry_id       text COLLATE "C" NOT NULL,
    raw_sha256     text COLLATE "C" NOT NULL,
    reason         text COLLATE "C" NOT NULL CHECK (reason IN ('malformed', 'too_large', 'schema_violation', 'duplicate', 'apply_failed')),
    detail         text NOT NULL,
    raw            bytea NOT NULL,
    delivery_count integer NOT NULL DEFAULT 1 CHECK (delivery_count >= 1),
    swarm_id       text COLLATE "C",
    event_id       text COLLATE "C",
    event_type     text COLLATE "C",
    status         text COLLATE "C" NOT NULL DEFAULT 'parked' CHECK (status IN ('parked', 'replayed', 'dropped')),
    created_at     timestamptz NOT NULL DEFAULT now(),
    resolved_at    timestamptz,
    CONSTRAINT swarm_dead_letters_entry UNIQUE (stream_name, entry_id, raw_sha256)
);

-- Dead letter ids are time-ordered, so this serves the newest-first listing of one status.
CREATE INDEX swarm_dead_letters_by_status ON swarm_dead_letters (tenant_id, status, dead_letter_id DESC);

-- Why: types of events that the brain does not know itself get a contract. A version is never changed and never removed, since
-- events that were stored by it stay. Numbers are given under a lock of the table that is held until the commit, so whoever has seen
-- one has seen all before it: that is how replicas learn of new schemas by one cheap question.
CREATE TABLE event_schemas (
    tenant_id     text COLLATE "C" NOT NULL,
    event_type    text COLLATE "C" NOT NULL,
    version       smallint NOT NULL,
    -- In the order of registration, over all tenants.
    number        bigint GENERATED ALWAYS AS IDENTITY,
    schema        jsonb NOT NULL,
    -- What was proven against the version before.
    compatibility text COLLATE "C" NOT NULL DEFAULT 'backward',
    created_by    text COLLATE "C" NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, event_type, version),
    CONSTRAINT event_schemas_version CHECK (version > 0),
    CONSTRAINT event_schemas_schema CHECK (jsonb_typeof(schema) = 'object'),
    CONSTRAINT event_schemas_compatibility CHECK (compatibility IN ('none', 'backward', 'forward', 'full'))
);

-- What is new since a number, and whose it is.
CREATE UNIQUE INDEX event_schemas_by_number ON event_schemas (number) INCLUDE (tenant_id);

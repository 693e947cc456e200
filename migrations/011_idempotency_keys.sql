-- Why: a request that is sent again after a lost answer gets that answer, and takes effect once.
CREATE TABLE brain_idempotency_keys (
    tenant_id       text COLLATE "C" NOT NULL,
    principal_id    text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    -- Of method, path, query, media type and body: the key belongs to this request and to no other.
    request_sha256  bytea NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Null while the request is being answered.
    status          integer,
    content_type    text,
    body            bytea,
    PRIMARY KEY (tenant_id, principal_id, idempotency_key)
);

CREATE INDEX brain_idempotency_keys_by_age ON brain_idempotency_keys (started_at);

-- Why: callers other than the administrator. Of a token only the digest of its secret is kept: 256 random bits need no slow hash.
CREATE TABLE brain_api_tokens (
    token_id            text COLLATE "C" PRIMARY KEY,
    tenant_id           text COLLATE "C" NOT NULL,
    name                text COLLATE "C" NOT NULL,
    role                text COLLATE "C" NOT NULL,
    scopes              text[] COLLATE "C" NOT NULL DEFAULT '{}',
    -- Whether its holder may speak as `name` alone.
    bound               boolean NOT NULL DEFAULT false,
    secret_sha256       bytea NOT NULL,
    -- Null: the limit of the configuration.
    requests_per_second integer,
    max_streams         integer,
    max_body_bytes      integer,
    created_by          text COLLATE "C" NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at          timestamptz,
    revoked_by          text COLLATE "C",
    revoked_at          timestamptz,
    -- To the minute.
    last_used_at        timestamptz,
    CONSTRAINT brain_api_tokens_role CHECK (role IN ('viewer', 'agent', 'operator', 'admin')),
    CONSTRAINT brain_api_tokens_secret CHECK (octet_length(secret_sha256) = 32),
    CONSTRAINT brain_api_tokens_limits CHECK (requests_per_second > 0 AND max_streams > 0 AND max_body_bytes > 0),
    CONSTRAINT brain_api_tokens_revoked CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);

CREATE INDEX brain_api_tokens_by_tenant ON brain_api_tokens (tenant_id, token_id);

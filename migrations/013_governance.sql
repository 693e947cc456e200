-- Why: an audit trail that an outsider can verify, and executions that were allowed, happen once, and never twice by accident.

-- The log of the original becomes one chain for each tenant: seq counts from 1 without gaps, hash covers the row and the hash before.
ALTER TABLE brain_event_log
    ADD COLUMN tenant_id text COLLATE "C" NOT NULL DEFAULT 'default' CHECK (tenant_id <> ''),
    ADD COLUMN seq       bigint NOT NULL CHECK (seq > 0),
    ADD COLUMN prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
    ADD COLUMN hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
    ADD CONSTRAINT brain_event_log_chain UNIQUE (tenant_id, seq);

DROP INDEX brain_event_log_by_time;
CREATE INDEX brain_event_log_by_action ON brain_event_log (tenant_id, action text_pattern_ops, seq DESC);
CREATE INDEX brain_event_log_by_actor ON brain_event_log (tenant_id, actor_id, seq DESC);

-- The end of each chain. Whoever appends holds this row, so rows come in order.
CREATE TABLE brain_audit_heads (
    tenant_id text COLLATE "C" PRIMARY KEY,
    seq       bigint NOT NULL CHECK (seq >= 0),
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32)
);

-- Signed ends of chains: what was there at a checkpoint cannot be cut off or written anew without the key.
CREATE TABLE brain_audit_checkpoints (
    tenant_id text COLLATE "C" NOT NULL,
    seq       bigint NOT NULL CHECK (seq > 0),
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
    at        timestamptz NOT NULL,
    key_id    text NOT NULL CHECK (key_id <> ''),
    signature bytea NOT NULL CHECK (octet_length(signature) = 64),
    PRIMARY KEY (tenant_id, seq, key_id)
);

-- The public keys that checkpoints were signed with; a new one is endorsed by the one before.
CREATE TABLE brain_audit_keys (
    key_id       text PRIMARY KEY CHECK (key_id <> ''),
    public_key   bytea NOT NULL CHECK (octet_length(public_key) = 32),
    endorsed_by  text REFERENCES brain_audit_keys (key_id),
    endorsement  bytea CHECK (octet_length(endorsement) = 64),
    created_at   timestamptz NOT NULL DEFAULT now(),
    CHECK ((endorsed_by IS NULL) = (endorsement IS NULL))
);

CREATE FUNCTION brain_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END;
$$;

CREATE TRIGGER brain_event_log_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON brain_event_log
    FOR EACH STATEMENT EXECUTE FUNCTION brain_refuse_change();
CREATE TRIGGER brain_audit_checkpoints_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON brain_audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION brain_refuse_change();
CREATE TRIGGER brain_audit_keys_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON brain_audit_keys
    FOR EACH STATEMENT EXECUTE FUNCTION brain_refuse_change();

-- A proposal keeps what exactly is to be done, and the envelope that an approval is bound to.
ALTER TABLE brain_capability_proposals
    ADD COLUMN actor_id          text NOT NULL DEFAULT '',
    ADD COLUMN owner_id          text NOT NULL DEFAULT '',
    ADD COLUMN delegation_id     uuid,
    ADD COLUMN input             text NOT NULL DEFAULT '{}',
    ADD COLUMN definition_digest text NOT NULL DEFAULT '',
    ADD COLUMN policy_version    text NOT NULL DEFAULT '',
    ADD COLUMN intake_rule       text,
    ADD COLUMN intake_reason     text,
    ADD COLUMN decided_by        text,
    ADD COLUMN decided_at        timestamptz,
    ADD COLUMN decision_reason   text CHECK (char_length(decision_reason) >= 10),
    ADD COLUMN envelope_digest   text,
    ADD COLUMN expires_at        timestamptz,
    ADD CONSTRAINT brain_capability_proposals_decided
        CHECK ((decided_by IS NULL) = (decided_at IS NULL));

CREATE INDEX brain_capability_proposals_by_tenant ON brain_capability_proposals (tenant_id, proposal_id DESC);
CREATE INDEX brain_capability_proposals_by_status ON brain_capability_proposals (tenant_id, status, proposal_id DESC);

-- What was dispatched. A proposal is executed once and rolled back once; an outcome that nobody saw is unknown.
CREATE TABLE brain_capability_executions (
    execution_id uuid PRIMARY KEY,
    tenant_id    text COLLATE "C" NOT NULL,
    proposal_id  uuid NOT NULL REFERENCES brain_capability_proposals (proposal_id),
    kind         text NOT NULL CHECK (kind IN ('execute', 'rollback')),
    authority    text NOT NULL CHECK (authority IN ('approval', 'exemption', 'policy')),
    exemption_id uuid,
    status       text NOT NULL CHECK (status IN ('dispatched', 'succeeded', 'failed', 'blocked', 'unknown')),
    principal    text NOT NULL CHECK (principal <> ''),
    replica_id   text NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    deadline     timestamptz NOT NULL,
    sent_at      timestamptz,
    finished_at  timestamptz,
    output       text,
    output_hash  text,
    error        text,
    CHECK ((authority = 'exemption') = (exemption_id IS NOT NULL))
);

-- Where nothing was sent nothing happened, so that one may come again.
CREATE UNIQUE INDEX brain_capability_executions_once
    ON brain_capability_executions (proposal_id, kind) WHERE status <> 'blocked';
CREATE INDEX brain_capability_executions_open ON brain_capability_executions (deadline) WHERE status = 'dispatched';

ALTER TABLE brain_capability_quota
    ADD COLUMN tenant_id      text COLLATE "C" NOT NULL DEFAULT 'default',
    ADD COLUMN window_seconds integer NOT NULL DEFAULT 3600 CHECK (window_seconds > 0),
    ADD COLUMN purpose        text NOT NULL DEFAULT 'quota' CHECK (purpose IN ('quota', 'propose', 'execute', 'dry_run')),
    ADD COLUMN owner_id       text NOT NULL DEFAULT '',
    ADD COLUMN actor_id       text NOT NULL DEFAULT '',
    ADD COLUMN capability_id  text NOT NULL DEFAULT '',
    ADD COLUMN most           integer NOT NULL DEFAULT 0 CHECK (most >= 0);

CREATE INDEX brain_capability_quota_by_tenant ON brain_capability_quota (tenant_id, bucket, window_start);
CREATE INDEX brain_capability_quota_by_age ON brain_capability_quota (window_start);

ALTER TABLE brain_capability_exemption_events
    ADD COLUMN tenant_id text COLLATE "C" NOT NULL DEFAULT 'default';

CREATE INDEX brain_capability_exemption_events_by_capability
    ON brain_capability_exemption_events (tenant_id, capability_id, at);

-- The kill switch of the installation and of each tenant. Dispatching holds an advisory lock that pressing waits for.
CREATE TABLE brain_capability_kill_switches (
    tenant_id  text COLLATE "C" PRIMARY KEY,
    enabled    boolean NOT NULL DEFAULT false,
    reason     text NOT NULL DEFAULT '',
    actor_id   text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- `*` is the switch of the whole installation; no tenant has that name.
INSERT INTO brain_capability_kill_switches (tenant_id) VALUES ('*');

ALTER TABLE brain_capability_kill_switch_events
    ADD COLUMN tenant_id text COLLATE "C" NOT NULL DEFAULT 'default';

-- An owner lets an agent act for it, within scopes and for a time.
CREATE TABLE brain_capability_delegations (
    delegation_id uuid PRIMARY KEY,
    tenant_id     text COLLATE "C" NOT NULL,
    owner_id      text NOT NULL CHECK (owner_id <> ''),
    agent_id      text NOT NULL CHECK (agent_id <> ''),
    scopes        text[] NOT NULL CHECK (cardinality(scopes) > 0),
    reason        text NOT NULL CHECK (char_length(reason) >= 10),
    created_by    text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    revoked_by    text,
    revoked_at    timestamptz,
    CHECK ((revoked_by IS NULL) = (revoked_at IS NULL))
);

CREATE INDEX brain_capability_delegations_by_agent ON brain_capability_delegations (tenant_id, agent_id, delegation_id);

-- Every policy that a replica ran under, by the digest of all that it says.
CREATE TABLE brain_capability_policies (
    policy_version text PRIMARY KEY,
    document       jsonb NOT NULL,
    first_seen_at  timestamptz NOT NULL DEFAULT now()
);

-- Notices of parked proposals that are still to be delivered.
CREATE TABLE brain_webhook_deliveries (
    delivery_id uuid PRIMARY KEY,
    tenant_id   text COLLATE "C" NOT NULL,
    body        text NOT NULL,
    attempts    integer NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now(),
    last_error  text,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX brain_webhook_deliveries_due ON brain_webhook_deliveries (due_at);

-- People who logged in to the dashboard with a token: the session ends with the token or before.
CREATE TABLE brain_sessions (
    session_sha256 bytea PRIMARY KEY CHECK (octet_length(session_sha256) = 32),
    tenant_id      text COLLATE "C" NOT NULL,
    token_id       text,
    admin_sha256   bytea CHECK (octet_length(admin_sha256) = 32),
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    CHECK ((token_id IS NULL) <> (admin_sha256 IS NULL))
);

CREATE INDEX brain_sessions_by_expiry ON brain_sessions (expires_at);

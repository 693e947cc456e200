-- Why: proposals to act and the hourly quota of each capability are kept where a restart does not forget them.
CREATE TABLE brain_capability_proposals (
    proposal_id   uuid PRIMARY KEY,
    capability_id text NOT NULL CHECK (capability_id <> ''),
    tenant_id     text COLLATE "C" NOT NULL DEFAULT 'default',
    requested_by  text NOT NULL,
    rationale     text NOT NULL CHECK (char_length(rationale) >= 10),
    input_hash    text NOT NULL,
    preview       jsonb NOT NULL,
    status        text NOT NULL CHECK (status IN ('draft', 'pending_approval', 'approved', 'rejected', 'executed')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE brain_capability_quota (
    bucket       text COLLATE "C" NOT NULL,
    window_start timestamptz NOT NULL,
    used         integer NOT NULL DEFAULT 0 CHECK (used >= 0),
    PRIMARY KEY (bucket, window_start)
);

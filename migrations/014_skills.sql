-- Why: which skills a tenant installed, told the same by every replica. The digest of a version never changes, also after the skill was
-- removed: the same version with other bytes is refused for ever.
CREATE TABLE brain_skills (
    tenant_id    text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    name         text COLLATE "C" NOT NULL CHECK (name <> ''),
    version      text COLLATE "C" NOT NULL CHECK (version <> ''),
    -- Of the whole tree: names, modes and bytes.
    digest       bytea NOT NULL CHECK (octet_length(digest) = 32),
    -- Who signed it; nobody, where it came from a directory without signatures.
    publisher    text CHECK (publisher <> ''),
    description  text NOT NULL,
    -- What it may do: hosts, commands, variables, limits.
    granted      jsonb NOT NULL CHECK (jsonb_typeof(granted) = 'object'),
    installed_by text NOT NULL CHECK (installed_by <> ''),
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_by   text CHECK (removed_by <> ''),
    removed_at   timestamptz,
    PRIMARY KEY (tenant_id, name, version),
    CHECK ((removed_by IS NULL) = (removed_at IS NULL))
);

-- Why: every decision that matters leaves an audit row; this is the log of the original system, column for column.
CREATE TABLE brain_event_log (
    id             uuid PRIMARY KEY,
    at             timestamptz NOT NULL DEFAULT now(),
    actor_type     text NOT NULL,
    actor_id       text NOT NULL,
    action         text NOT NULL CHECK (action <> ''),
    rationale      text NOT NULL DEFAULT '',
    target         text NOT NULL,
    approval_state text NOT NULL,
    input_hash     text,
    output_hash    text,
    metadata       jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX brain_event_log_by_time ON brain_event_log (at DESC, id);

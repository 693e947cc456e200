-- Why: exemptions and the kill switch are histories, not flags: who changed them, when and why stays readable.
CREATE TABLE brain_capability_exemption_events (
    event_id      uuid PRIMARY KEY,
    exemption_id  uuid NOT NULL,
    capability_id text NOT NULL CHECK (capability_id <> ''),
    action        text NOT NULL CHECK (action IN ('granted', 'revoked')),
    actor_id      text NOT NULL,
    reason        text NOT NULL CHECK (char_length(reason) >= 10),
    expires_at    timestamptz,
    at            timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX brain_capability_exemption_events_by_exemption
    ON brain_capability_exemption_events (exemption_id, at);

CREATE TABLE brain_capability_kill_switch_events (
    event_id uuid PRIMARY KEY,
    enabled  boolean NOT NULL,
    actor_id text NOT NULL,
    reason   text NOT NULL CHECK (char_length(reason) >= 10),
    at       timestamptz NOT NULL DEFAULT now()
);

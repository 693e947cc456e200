//! One stream entry: what the relay writes and what the consumer reads.
//!
//! A foreign publisher writes one field, `event`, with the JSON of an event. The relay adds `seq`, `swarm` and `id`, so that
//! its own entries are recognised without parsing.

use bytes::Bytes;

use crate::ids::EntryId;

/// The field that carries the event.
pub(crate) const EVENT: &str = "event";
/// The field with the stored sequence number, on entries of the relay.
pub(crate) const SEQ: &str = "seq";
/// The field with the swarm's id, on entries of the relay.
pub(crate) const SWARM: &str = "swarm";
/// The field with the event's id, on entries of the relay.
pub(crate) const ID: &str = "id";

/// An entry as it came from the stream.
#[derive(Debug, Clone)]
pub(crate) struct RawEntry {
    pub(crate) id: EntryId,
    pub(crate) fields: Vec<(Bytes, Bytes)>,
    /// How often it was delivered, this time included.
    pub(crate) deliveries: i32,
}

/// The mark of the relay: what the entry claims to be. It is believed only after a look at what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RelayMark {
    pub(crate) swarm: String,
    pub(crate) id: String,
    pub(crate) seq: i64,
}

impl RawEntry {
    fn field(&self, name: &str) -> Option<&Bytes> {
        self.fields
            .iter()
            .find(|(key, _)| key.as_ref() == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// The JSON of the event; `None` where the entry has no such field.
    pub(crate) fn event(&self) -> Option<&Bytes> {
        self.field(EVENT)
    }

    pub(crate) fn relay_mark(&self) -> Option<RelayMark> {
        // What no id can be was not written by the relay, and PostgreSQL could not even be asked about it.
        let text = |name| {
            std::str::from_utf8(self.field(name)?)
                .ok()
                .filter(|text| !text.chars().any(char::is_control))
        };
        Some(RelayMark {
            seq: text(SEQ)?.parse().ok()?,
            swarm: text(SWARM)?.to_owned(),
            id: text(ID)?.to_owned(),
        })
    }

    /// All bytes of the entry, for a dead letter: the event alone where there is one, else every field.
    pub(crate) fn raw(&self) -> Bytes {
        if let Some(event) = self.event() {
            return event.clone();
        }
        let mut raw = Vec::new();
        for (key, value) in &self.fields {
            raw.extend_from_slice(key);
            raw.push(b'=');
            raw.extend_from_slice(value);
            raw.push(b'\n');
        }
        Bytes::from(raw)
    }
}

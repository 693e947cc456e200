//! One stream entry: what the relay writes and what the consumer reads.
//!
//! A foreign publisher writes one field, `event`, with the JSON of an event. The relay adds `seq`, `swarm` and `id`, so that
//! its own entries are recognised without parsing. Either names the tenant in `tenant`, unless it is `default`.
//!
//! Invariant: an entry whose tenant cannot be told belongs to none; it is never taken for one of `default`.

use bytes::Bytes;

use crate::ids::{EntryId, InvalidId, TenantId};

/// The field that carries the event.
pub(crate) const EVENT: &str = "event";
/// The field with the stored sequence number, on entries of the relay.
pub(crate) const SEQ: &str = "seq";
/// The field with the swarm's id, on entries of the relay.
pub(crate) const SWARM: &str = "swarm";
/// The field with the event's id, on entries of the relay.
pub(crate) const ID: &str = "id";

/// The field with the tenant; an entry without it is of tenant `default`.
pub(crate) const TENANT: &str = "tenant";

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
    pub(crate) tenant: TenantId,
    pub(crate) swarm: String,
    pub(crate) id: String,
    pub(crate) seq: i64,
}

/// Why the tenant of an entry cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTenant {
    /// Whoever wrote two may mean either.
    #[error("the entry has the field `tenant` more than once")]
    Several,
    #[error("the field `tenant` is not text")]
    NotText,
    #[error("the field `tenant`: {0}")]
    Invalid(#[from] InvalidId),
}

impl RawEntry {
    /// Whose entry it is.
    pub(crate) fn tenant(&self) -> Result<TenantId, InvalidTenant> {
        let mut named = self.fields.iter().filter(|(key, _)| key.as_ref() == TENANT.as_bytes());
        let Some((_, tenant)) = named.next() else {
            return Ok(TenantId::single());
        };
        if named.next().is_some() {
            return Err(InvalidTenant::Several);
        }
        let tenant = std::str::from_utf8(tenant).map_err(|_| InvalidTenant::NotText)?;
        Ok(TenantId::new(tenant)?)
    }

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
            tenant: self.tenant().ok()?,
            seq: text(SEQ)?.parse().ok()?,
            swarm: text(SWARM)?.to_owned(),
            id: text(ID)?.to_owned(),
        })
    }

    /// All bytes of the entry, for a dead letter: the event alone where there is one and it is known whose it is, else every
    /// field, so that nobody replays it as it is.
    pub(crate) fn raw(&self) -> Bytes {
        if let Some(event) = self.event()
            && self.tenant().is_ok()
        {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn entry(fields: &[(&'static str, &'static str)]) -> RawEntry {
        RawEntry {
            id: EntryId::default(),
            fields: fields
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
            deliveries: 1,
        }
    }

    #[test]
    fn an_entry_without_a_tenant_is_of_the_default_one() {
        assert_eq!(entry(&[("event", "{}")]).tenant(), Ok(TenantId::single()));
        assert_eq!(entry(&[("tenant", "acme")]).tenant().unwrap().as_str(), "acme");
    }

    #[test]
    fn a_tenant_that_cannot_be_told_is_of_nobody() {
        let problems = [
            entry(&[("event", "{}"), ("tenant", "")]),
            entry(&[("event", "{}"), ("tenant", "Acme")]),
            entry(&[("event", "{}"), ("tenant", "a"), ("tenant", "a")]),
            RawEntry {
                fields: vec![
                    ("event".into(), "{}".into()),
                    ("tenant".into(), Bytes::from_static(b"\xff")),
                ],
                ..entry(&[])
            },
        ]
        .map(|entry| {
            assert_ne!(entry.raw().as_ref(), b"{}", "it must not be replayed as an event");
            entry.tenant().unwrap_err().to_string()
        });
        insta::assert_snapshot!(problems.join("\n"), @r"
        the field `tenant`: tenantId must not be empty
        the field `tenant`: tenantId must begin with a lower-case letter or a digit and hold only lower-case letters, digits, `-`, `_` and `.`
        the entry has the field `tenant` more than once
        the field `tenant` is not text
        ");
    }

    #[test]
    fn the_mark_of_the_relay_is_of_its_tenant() {
        let fields = [("seq", "7"), ("swarm", "s"), ("id", "e")];
        let mark = |tenant: Option<&'static str>| {
            let tenant = tenant.map(|tenant| ("tenant", tenant));
            entry(&fields.into_iter().chain(tenant).collect::<Vec<_>>()).relay_mark()
        };
        assert_eq!(mark(None), mark(Some("default")));
        assert_ne!(mark(None), mark(Some("acme")));
        assert_eq!(mark(Some("Acme")), None);
    }
}

//! Typed identifiers: text that cannot be empty, too long or hold a control character.
//!
//! Invariant: every value of these types may be stored, logged and compared byte for byte without further checks.

use std::{fmt, str::FromStr, sync::LazyLock};

use serde::{
    Deserialize, Serialize,
    de::{Deserializer, Error as _, Unexpected},
};

/// The longest identifier a caller may choose, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// The longest name of a tenant.
pub const MAX_TENANT_BYTES: usize = 64;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing but an empty text was given.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// Longer than allowed.
    #[error("{kind} is {bytes} bytes long, at most {max} are allowed")]
    TooLong {
        /// Which identifier.
        kind: &'static str,
        /// How long it was.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// A character that would not survive logs, SQL or a terminal.
    #[error("{0} must not contain control characters")]
    Control(&'static str),
    /// A character that a name of this kind cannot have.
    #[error(
        "{0} must begin with a lower-case letter or a digit and hold only lower-case letters, digits, `-`, `_` and `.`"
    )]
    Alphabet(&'static str),
}

pub(crate) fn check(kind: &'static str, text: &str, max: usize) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty(kind));
    }
    if text.len() > max {
        return Err(InvalidId::TooLong {
            kind,
            bytes: text.len(),
            max,
        });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidId::Control(kind));
    }
    Ok(())
}

/// Tenants stand in stream fields, notifications, metrics and logs, so their names are plain.
fn check_tenant(kind: &'static str, text: &str, max: usize) -> Result<(), InvalidId> {
    check(kind, text, max)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let first = text.bytes().next().is_some_and(plain);
    if first
        && text
            .bytes()
            .all(|byte| plain(byte) || matches!(byte, b'-' | b'_' | b'.'))
    {
        Ok(())
    } else {
        Err(InvalidId::Alphabet(kind))
    }
}

/// No control character, which is what [`check`] refuses.
const PATTERN: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$";

/// What a check lets pass, as JSON Schema says it. It counts characters where the check counts bytes.
fn text_schema(max: usize, pattern: &str) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": max,
        "pattern": pattern,
    })
}

/// The schema of a text that is kept to the rules of identifiers without being one.
pub(crate) struct Text;

impl schemars::JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        text_schema(MAX_ID_BYTES, PATTERN)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:expr) => {
        text_id!($(#[$doc])* $name, $kind, $max, check, PATTERN);
    };
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:expr, $check:path, $pattern:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks and wraps a text.
            ///
            /// # Errors
            /// [`InvalidId`] says what is wrong with it.
            pub fn new(text: impl Into<std::sync::Arc<str>>) -> Result<Self, InvalidId> {
                let text = text.into();
                $check($kind, &text, $max)?;
                Ok(Self(text))
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Wraps a text that was checked before, such as one read back from the database.
            #[allow(dead_code, reason = "not every identifier is read back from the database")]
            pub(crate) fn trusted(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                text_schema($max, $pattern)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// Who owns the rows: 1 to 64 lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or a digit.
    TenantId, "tenantId", MAX_TENANT_BYTES, check_tenant, "^[a-z0-9][a-z0-9._-]*$"
);
text_id!(
    /// A swarm: the scope of sequence numbers, agents and tasks.
    SwarmId, "swarmId", MAX_ID_BYTES
);
text_id!(
    /// One run of a swarm.
    RunId, "runId", MAX_ID_BYTES
);
text_id!(
    /// Whoever acts: an agent, a person or a service.
    ActorId, "actorId", MAX_ID_BYTES
);
text_id!(
    /// A task within its swarm.
    TaskId, "taskId", MAX_ID_BYTES
);
text_id!(
    /// A schedule within its swarm.
    ScheduleId, "scheduleId", MAX_ID_BYTES
);
text_id!(
    /// An event within its swarm.
    EventId, "id", MAX_ID_BYTES
);
text_id!(
    /// A budget within its swarm.
    BudgetId, "budgetId", MAX_ID_BYTES
);
text_id!(
    /// The Redis stream of one partition.
    StreamName, "stream name", 512
);

impl TenantId {
    /// The tenant of a system that has only one.
    #[must_use]
    pub fn single() -> Self {
        static SINGLE: LazyLock<TenantId> = LazyLock::new(|| TenantId::trusted(TenantId::SINGLE));
        SINGLE.clone()
    }

    /// Its name.
    pub(crate) const SINGLE: &'static str = "default";
}

impl EventId {
    /// A new time-ordered id (UUID version 7).
    #[must_use]
    pub fn generate() -> Self {
        Self::trusted(
            uuid::Uuid::now_v7()
                .as_hyphenated()
                .encode_lower(&mut uuid::Uuid::encode_buffer()),
        )
    }
}

/// The id of a stream entry: milliseconds and a counter, compared as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntryId {
    /// Milliseconds since the epoch, by the clock of the Redis server.
    pub ms: u64,
    /// Counter within the millisecond.
    pub seq: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl FromStr for EntryId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let parse = || {
            let (ms, seq) = text.split_once('-')?;
            Some(Self {
                ms: ms.parse().ok()?,
                seq: seq.parse().ok()?,
            })
        };
        parse().ok_or(InvalidId::Control("stream entry id"))
    }
}

/// Grows with every change of a lease's owner; a holder with an older one has lost the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct FencingToken(#[schemars(range(min = 0))] pub i64);

/// No claim ever had a negative one.
impl<'de> Deserialize<'de> for FencingToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            token @ 0.. => Ok(Self(token)),
            token => Err(D::Error::invalid_value(
                Unexpected::Signed(token),
                &"a fencing token, which is 0 or more",
            )),
        }
    }
}

impl FencingToken {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_cannot_be_an_id() {
        assert_eq!(SwarmId::new("").unwrap_err().to_string(), "swarmId must not be empty");
        assert!(TaskId::new("a\0b").is_err());
        assert!(TaskId::new("x".repeat(MAX_ID_BYTES + 1)).is_err());
        assert!(serde_json::from_str::<SwarmId>("\"\"").is_err());
    }

    #[test]
    fn the_single_tenant_is_made_once() {
        let (one, other) = (TenantId::single(), TenantId::single());
        assert!(std::ptr::eq(one.as_str(), other.as_str()));
    }

    #[test]
    fn tenants_have_plain_names() {
        for good in ["default", "a", "7", "acme.eu-west_1", &"x".repeat(64)] {
            assert_eq!(TenantId::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            ".a",
            "_a",
            "Acme",
            "a b",
            "a/b",
            "a\0",
            "ä",
            "a:b",
            &"x".repeat(65),
        ] {
            assert!(TenantId::new(bad).is_err(), "{bad}");
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
            assert!(
                serde_json::from_str::<TenantId>(&serde_json::json!(bad).to_string()).is_err(),
                "{bad}"
            );
        }
        insta::assert_snapshot!(
            TenantId::new("Acme").unwrap_err(),
            @"tenantId must begin with a lower-case letter or a digit and hold only lower-case letters, digits, `-`, `_` and `.`"
        );
    }

    proptest! {
        #[test]
        fn entry_ids_order_as_numbers(a in any::<(u64, u64)>(), b in any::<(u64, u64)>()) {
            let (x, y) = (EntryId { ms: a.0, seq: a.1 }, EntryId { ms: b.0, seq: b.1 });
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.to_string().parse::<EntryId>().unwrap(), x);
        }
    }
}

//! Scopes: what a token is narrowed to.
//!
//! A scope is `resource:action`, where each of them may be `*`, or `capability:<id>:execute`, where the id may be `*`. A caller may do what its role allows and, where it has scopes,
//! what one of them covers too.

use std::{borrow::Cow, fmt, str::FromStr};

use brain_swarm::governance::capability::CapabilityId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The longest scope, in bytes.
const MAX_BYTES: usize = 96;
/// The resource of a scope that covers every capability.
const EVERY_CAPABILITY: &str = "capability:*";
/// The most scopes of one token.
const MAX_SCOPES: usize = 64;

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope {
    text: Box<str>,
    /// Where the last colon is.
    colon: usize,
}

/// Why a text is not a scope, or a list not one of scopes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    /// It has another form.
    #[error(
        "a scope is resource:action in lower-case letters and hyphens, such as tasks:work, events:* or *:read; or capability:<id>:execute"
    )]
    Form,
    /// There are too many.
    #[error("there are more than 64 scopes")]
    TooMany,
}

impl Scope {
    /// What it is about.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.text[..self.colon]
    }

    /// What may be done to it.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.text[self.colon + 1..]
    }

    fn covers(&self, resource: &str, action: &str) -> bool {
        let fits = |part: &str, wanted: &str| part == "*" || part == wanted;
        let every = self.resource() == EVERY_CAPABILITY && resource.starts_with("capability:");
        (every || fits(self.resource(), resource)) && fits(self.action(), action)
    }
}

fn is_word(text: &str) -> bool {
    text == "*" || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
}

impl JsonSchema for Scope {
    fn schema_name() -> Cow<'static, str> {
        "Scope".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": MAX_BYTES,
            "pattern": r"^(\*|[a-z-]+|capability:(\*|[a-z][a-z0-9._-]*)):(\*|[a-z-]+)$",
            "examples": ["tasks:work", "events:*"],
        })
    }
}

impl JsonSchema for Scopes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scopes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": generator.subschema_for::<Scope>(), "maxItems": MAX_SCOPES })
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let (resource, action) = text.rsplit_once(':').ok_or(InvalidScope::Form)?;
        let known = match resource.strip_prefix("capability:") {
            Some(id) => id == "*" || id.parse::<CapabilityId>().is_ok(),
            None => is_word(resource),
        };
        if text.len() > MAX_BYTES || !known || !is_word(action) {
            return Err(InvalidScope::Form);
        }
        Ok(Self {
            text: text.into(),
            colon: resource.len(),
        })
    }
}

impl TryFrom<String> for Scope {
    type Error = InvalidScope;

    fn try_from(text: String) -> Result<Self, InvalidScope> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.text.into()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a caller is narrowed to; nothing, where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Whether `action` on `resource` is inside.
    #[must_use]
    pub fn cover(&self, resource: &str, action: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|scope| scope.covers(resource, action))
    }

    /// Whether the caller is not narrowed at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether all that these cover is covered by `others` too.
    #[must_use]
    pub fn within(&self, others: &Self) -> bool {
        others.is_empty()
            || (!self.is_empty()
                && self.0.iter().all(|scope| {
                    others
                        .0
                        .iter()
                        .any(|other| other.covers(scope.resource(), scope.action()))
                }))
    }
}

impl TryFrom<Vec<Scope>> for Scopes {
    type Error = InvalidScope;

    fn try_from(mut scopes: Vec<Scope>) -> Result<Self, InvalidScope> {
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.len() > MAX_SCOPES {
            return Err(InvalidScope::TooMany);
        }
        Ok(Self(scopes))
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn scopes(texts: &[&str]) -> Scopes {
        let scopes: Vec<Scope> = texts.iter().map(|text| text.parse().unwrap()).collect();
        scopes.try_into().unwrap()
    }

    #[test]
    fn scopes_narrow() {
        assert!(scopes(&[]).cover("tasks", "work"));
        let some = scopes(&["tasks:work", "*:read", "events:*"]);
        for (resource, action, covered) in [
            ("tasks", "work", true),
            ("tasks", "read", true),
            ("tasks", "manage", false),
            ("events", "write", true),
            ("dead-letters", "manage", false),
        ] {
            assert_eq!(some.cover(resource, action), covered, "{resource}:{action}");
        }
    }

    #[test]
    fn what_is_narrower_is_within() {
        let wide = scopes(&["tasks:*", "*:read"]);
        assert!(scopes(&["tasks:work", "events:read"]).within(&wide));
        assert!(wide.within(&scopes(&[])));
        assert!(!scopes(&[]).within(&wide), "no scopes at all is everything");
        assert!(!scopes(&["*:work"]).within(&wide));
        assert!(wide.within(&wide));
    }

    #[test]
    fn a_capability_is_covered_by_its_own_scope_and_by_that_of_all() {
        let one = scopes(&["capability:mail.send:execute"]);
        assert!(one.cover("capability:mail.send", "execute"));
        assert!(!one.cover("capability:mail.read", "execute") && !one.cover("tasks", "execute"));
        let all = scopes(&["capability:*:execute"]);
        assert!(all.cover("capability:mail.read", "execute") && !all.cover("capabilities", "execute"));
        assert!(one.within(&all) && !all.within(&one));
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in [
            "",
            "tasks",
            ":",
            "tasks:",
            ":read",
            "Tasks:read",
            "a:b:c",
            "capability::execute",
            "capability:A:execute",
            "tasks:re ad",
            "t*:read",
            "tasks: read",
        ] {
            assert_eq!(wrong.parse::<Scope>(), Err(InvalidScope::Form), "{wrong}");
        }
        assert!(format!("{}:read", "x".repeat(92)).parse::<Scope>().is_err());
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics(text in "\\PC*") {
            if let Ok(scope) = text.parse::<Scope>() {
                prop_assert_eq!(scope.to_string(), text);
            }
        }
    }
}

//! The documents of a TUF repository, as far as this registry uses them.
//!
//! Invariants: a document is read only with the type that its place asks for; what is verified is the canonical form
//! of every field that was read, known or not; versions begin at 1; a root asks for consistent snapshots.

use std::collections::BTreeMap;

use jiff::Timestamp as Time;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Error, canonical,
    keys::{MAX_KEYS, PublicKey, Quorum, Signed, read_keys},
    names::{Pattern, is_role},
};
use crate::digest::Digest;

/// A document with its signatures, not verified yet.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) signatures: Vec<Signed>,
    pub(super) signed: Value,
}

#[derive(Deserialize)]
struct Outer {
    signatures: Vec<Signed>,
    signed: Value,
}

impl Envelope {
    pub(super) fn read(what: &str, bytes: &[u8]) -> Result<Self, Error> {
        let value = canonical::read(bytes).map_err(|error| Error::malformed(what, error))?;
        let outer: Outer = serde_json::from_value(value).map_err(|error| Error::malformed(what, error))?;
        if outer.signatures.len() > MAX_KEYS {
            return Err(Error::malformed(what, "it has too many signatures"));
        }
        Ok(Self {
            signatures: outer.signatures,
            signed: outer.signed,
        })
    }

    /// The bytes that were signed.
    pub(super) fn message(&self) -> Vec<u8> {
        canonical::write(&self.signed)
    }

    /// What the document says, after its type; the signatures are the caller's to check.
    pub(super) fn content<T: Kind>(&self, what: &str) -> Result<T, Error> {
        if self.signed["_type"] != T::TYPE {
            return Err(Error::malformed(what, format_args!("it is no {} metadata", T::TYPE)));
        }
        let version = self.signed["spec_version"].as_str().unwrap_or_default();
        if !version.starts_with("1.") {
            return Err(Error::malformed(
                what,
                "it follows no version 1 of the TUF specification",
            ));
        }
        let content: T = serde_json::from_value(self.signed.clone()).map_err(|error| Error::malformed(what, error))?;
        content.check(what)?;
        Ok(content)
    }

    /// What the document says, once a quorum signed it.
    pub(super) fn verified<T: Kind>(&self, what: &str, quorum: &Quorum) -> Result<T, Error> {
        quorum.check(what, &self.message(), &self.signatures)?;
        self.content(what)
    }
}

/// One kind of document.
pub(super) trait Kind: DeserializeOwned {
    const TYPE: &'static str;
    fn version(&self) -> u64;
    fn expires(&self) -> Time;
    fn check(&self, what: &str) -> Result<(), Error> {
        check_version(what, self.version())
    }
}

fn check_version(what: &str, version: u64) -> Result<(), Error> {
    // Above this, adding one for the next version would not be an integer that every reader has.
    if version == 0 || version > 1 << 52 {
        return Err(Error::malformed(what, format_args!("{version} is no version")));
    }
    Ok(())
}

/// The keys of all roles.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Root {
    pub(super) version: u64,
    pub(super) expires: Time,
    pub(super) consistent_snapshot: bool,
    pub(super) keys: BTreeMap<String, Value>,
    pub(super) roles: BTreeMap<String, RoleKeys>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoleKeys {
    pub(super) keyids: Vec<String>,
    pub(super) threshold: u64,
}

/// The roles that the root names keys for.
pub(super) const TOP_LEVEL: [&str; 4] = ["root", "targets", "snapshot", "timestamp"];

impl Root {
    /// The keys of a top-level role.
    pub(super) fn quorum(&self, role: &str) -> Result<Quorum, Error> {
        let what = "root.json";
        let keys = read_keys(what, &self.keys)?;
        let named = self.roles.get(role);
        let named = named.ok_or_else(|| Error::malformed(what, format_args!("it has no role {role}")))?;
        Quorum::read(what, &keys, &named.keyids, named.threshold)
    }
}

impl Kind for Root {
    const TYPE: &'static str = "root";
    fn version(&self) -> u64 {
        self.version
    }
    fn expires(&self) -> Time {
        self.expires
    }
    fn check(&self, what: &str) -> Result<(), Error> {
        check_version(what, self.version)?;
        if !self.consistent_snapshot {
            return Err(Error::malformed(what, "the repository must use consistent snapshots"));
        }
        TOP_LEVEL.iter().try_for_each(|role| self.quorum(role).map(drop))
    }
}

/// What is said of another document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) length: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hashes: Option<BTreeMap<String, String>>,
}

impl Meta {
    pub(super) fn of(version: u64) -> Self {
        Self {
            version,
            length: None,
            hashes: None,
        }
    }

    /// Refuses bytes that are not the ones meant.
    pub(super) fn check(&self, what: &str, bytes: &[u8]) -> Result<(), Error> {
        if self.length.is_some_and(|length| length != bytes.len() as u64) {
            return Err(Error::mixed(what, "its length differs"));
        }
        match &self.hashes {
            None => Ok(()),
            Some(hashes) if hashes.get("sha256") == Some(&Digest::of(bytes).hex()) => Ok(()),
            Some(_) => Err(Error::mixed(what, "its SHA-256 differs or is not given")),
        }
    }
}

/// Which snapshot is the newest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Timestamp {
    pub(super) version: u64,
    pub(super) expires: Time,
    pub(super) meta: BTreeMap<String, Meta>,
}

impl Timestamp {
    pub(super) fn snapshot(&self) -> Option<&Meta> {
        self.meta.get("snapshot.json")
    }
}

impl Kind for Timestamp {
    const TYPE: &'static str = "timestamp";
    fn version(&self) -> u64 {
        self.version
    }
    fn expires(&self) -> Time {
        self.expires
    }
    fn check(&self, what: &str) -> Result<(), Error> {
        check_version(what, self.version)?;
        if self.meta.len() != 1 || self.snapshot().is_none() {
            return Err(Error::malformed(what, "it must name snapshot.json and nothing else"));
        }
        Ok(())
    }
}

/// Which versions of all targets metadata belong together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) version: u64,
    pub(super) expires: Time,
    pub(super) meta: BTreeMap<String, Meta>,
}

impl Kind for Snapshot {
    const TYPE: &'static str = "snapshot";
    fn version(&self) -> u64 {
        self.version
    }
    fn expires(&self) -> Time {
        self.expires
    }
}

/// What is offered, and who else may offer it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Targets {
    pub(super) version: u64,
    pub(super) expires: Time,
    pub(super) targets: BTreeMap<String, Target>,
    /// Read only of the top-level role, see [`Targets::delegations`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) delegations: Option<Value>,
}

impl Kind for Targets {
    const TYPE: &'static str = "targets";
    fn version(&self) -> u64 {
        self.version
    }
    fn expires(&self) -> Time {
        self.expires
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) length: u64,
    pub(super) hashes: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(super) custom: Value,
}

impl Target {
    pub(super) fn sha256(&self) -> Option<Digest> {
        format!("sha256:{}", self.hashes.get("sha256")?).parse().ok()
    }

    pub(super) fn tree(&self) -> Option<Digest> {
        self.custom.get("treeDigest")?.as_str()?.parse().ok()
    }
}

/// The publishers that the top-level targets name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Delegations {
    pub(super) keys: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) roles: Vec<Delegation>,
}

/// One publisher: its name, keys, and the targets that are its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Delegation {
    pub(super) name: String,
    pub(super) keyids: Vec<String>,
    pub(super) threshold: u64,
    #[serde(default)]
    pub(super) terminating: bool,
    #[serde(default)]
    pub(super) paths: Vec<String>,
}

impl Targets {
    /// The publishers in their order. A publisher's own delegations are never asked for.
    pub(super) fn delegations(&self) -> Result<Delegations, Error> {
        let what = "targets.json";
        let Some(value) = &self.delegations else {
            return Ok(Delegations::default());
        };
        let read: Delegations = serde_json::from_value(value.clone()).map_err(|error| Error::malformed(what, error))?;
        let mut names = std::collections::BTreeSet::new();
        for role in &read.roles {
            if !is_role(&role.name) || !names.insert(&role.name) {
                let reason = format_args!("{:?} is no name of a publisher, or is there twice", role.name);
                return Err(Error::malformed(what, reason));
            }
        }
        read_keys(what, &read.keys)?;
        Ok(read)
    }
}

impl Delegation {
    pub(super) fn quorum(&self, keys: &BTreeMap<String, PublicKey>) -> Result<Quorum, Error> {
        Quorum::read("targets.json", keys, &self.keyids, self.threshold)
    }

    pub(super) fn owns(&self, target: &str) -> bool {
        self.paths.iter().any(|path| Pattern::matches(path, target))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn read_as_everything(bytes: &[u8]) {
        if let Ok(envelope) = Envelope::read("test", bytes) {
            let _ = envelope.content::<Root>("test");
            let _ = envelope.content::<Timestamp>("test");
            let _ = envelope.content::<Snapshot>("test");
            if let Ok(targets) = envelope.content::<Targets>("test") {
                let _ = targets.delegations();
            }
        }
    }

    const TARGETS: &str = r#"{"signatures":[{"keyid":"ab","sig":"00"}],"signed":{"_type":"targets","spec_version":"1.0.31",
        "version":1,"expires":"2030-01-01T00:00:00Z","targets":{"a/1.0.0.tar.gz":{"length":1,"hashes":{"sha256":"00"}}},
        "delegations":{"keys":{},"roles":[{"name":"acme","keyids":[],"threshold":1,"paths":["acme-*/*"]}]}}}"#;

    #[test]
    fn a_document_is_only_what_its_place_asks_for() {
        let envelope = Envelope::read("test", TARGETS.as_bytes()).unwrap();
        assert!(envelope.content::<Targets>("test").is_ok());
        assert!(envelope.content::<Snapshot>("test").is_err());
        for (good, bad) in [
            ("\"targets\",\"spec", "\"snapshot\",\"spec"),
            ("1.0.31", "2.0.0"),
            ("\"version\":1", "\"version\":0"),
            ("\"version\":1", "\"version\":-1"),
            ("2030-01-01T00:00:00Z", "soon"),
        ] {
            let changed = TARGETS.replace(good, bad);
            assert_ne!(changed, TARGETS);
            let envelope = Envelope::read("test", changed.as_bytes()).unwrap();
            assert!(envelope.content::<Targets>("test").is_err(), "{bad}");
        }
        for name in ["../acme", "targets", "root", "", "Acme"] {
            let changed = TARGETS.replace("\"acme\"", &format!("{name:?}"));
            let envelope = Envelope::read("test", changed.as_bytes()).unwrap();
            let targets = envelope.content::<Targets>("test").unwrap();
            assert!(targets.delegations().is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            read_as_everything(&bytes);
        }

        #[test]
        fn mutated_documents_do_not_panic(
            changes in proptest::collection::vec((0..TARGETS.len(), any::<u8>()), 1..8),
            kind in prop_oneof!["root", "timestamp", "snapshot", "targets"],
        ) {
            let mut bytes = TARGETS.replace("\"targets\",\"spec", &format!("{kind:?},\"spec")).into_bytes();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            read_as_everything(&bytes);
        }
    }
}

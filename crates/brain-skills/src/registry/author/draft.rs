//! A change of a registry that may still wait for signatures.
//!
//! Invariants: a draft has the documents that people sign (root, targets, publishers), each one version after the one
//! in force; snapshot and timestamp are made when the draft is complete, by whoever completes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Error, SecretKey, current::Current};
use crate::registry::{
    keys::{Quorum, Signed, read_keys},
    metadata::{Envelope, Kind, Root, Targets},
};

/// The version of the specification that documents are written by.
const SPEC: &str = "1.0.31";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    pub(super) documents: BTreeMap<String, Document>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) signed: Value,
    pub(super) signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signature {
    keyid: String,
    sig: String,
}

/// How many signatures a document still needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The role that must sign.
    pub role: String,
    /// How many of its keys did.
    pub valid: usize,
    /// How many must.
    pub threshold: usize,
}

impl Document {
    pub(super) fn of<T: Kind + Serialize>(content: &T) -> Result<Self, Error> {
        let failed = |error: serde_json::Error| crate::registry::Error::malformed(T::TYPE, error);
        let mut signed = serde_json::to_value(content).map_err(failed)?;
        signed["_type"] = json!(T::TYPE);
        signed["spec_version"] = json!(SPEC);
        Ok(Self {
            signed,
            signatures: Vec::new(),
        })
    }

    fn envelope(&self) -> Envelope {
        let signatures = self.signatures.iter().map(|signature| Signed {
            keyid: signature.keyid.clone(),
            sig: signature.sig.clone(),
        });
        Envelope {
            signatures: signatures.collect(),
            signed: self.signed.clone(),
        }
    }

    pub(super) fn content<T: Kind>(&self, name: &str) -> Result<T, Error> {
        Ok(self.envelope().content(name)?)
    }

    /// Adds what these keys may sign.
    pub(super) fn sign(&mut self, quorums: &[Quorum], keys: &[SecretKey]) {
        let message = self.envelope().message();
        for signed in quorums
            .iter()
            .flat_map(|quorum| keys.iter().filter_map(|key| key.sign(quorum, &message)))
        {
            // Ed25519 signs one message in one way, so a signature that is there already is replaced by itself.
            self.signatures.retain(|signature| signature.keyid != signed.keyid);
            self.signatures.push(Signature {
                keyid: signed.keyid,
                sig: signed.sig,
            });
        }
    }

    pub(super) fn missing(&self, role: &str, quorums: &[Quorum]) -> Option<Missing> {
        let envelope = self.envelope();
        let message = envelope.message();
        let lacking = quorums
            .iter()
            .map(|quorum| (quorum.valid(&message, &envelope.signatures), quorum.threshold));
        let (valid, threshold) = lacking.into_iter().find(|(valid, threshold)| valid < threshold)?;
        Some(Missing {
            role: role.to_owned(),
            valid,
            threshold,
        })
    }

    pub(super) fn text(&self, name: &str) -> Result<String, Error> {
        let text = serde_json::to_string_pretty(self);
        Ok(text.map_err(|error| crate::registry::Error::malformed(name, error))?)
    }
}

impl Draft {
    pub(super) fn put<T: Kind + Serialize>(&mut self, role: &str, content: &T) -> Result<(), Error> {
        self.documents.insert(role.to_owned(), Document::of(content)?);
        Ok(())
    }

    /// The root that will be in force.
    pub(super) fn root(&self, current: Option<&Current>) -> Result<Root, Error> {
        match (self.documents.get("root"), current) {
            (Some(document), _) => document.content("root.json"),
            (None, Some(current)) => Ok(current.root.clone()),
            (None, None) => Err(Error::UnknownRole {
                role: "root".to_owned(),
            }),
        }
    }

    /// The targets that will be in force.
    pub(super) fn targets(&self, current: Option<&Current>) -> Result<Targets, Error> {
        match (self.documents.get("targets"), current) {
            (Some(document), _) => document.content("targets.json"),
            (None, Some(current)) => Ok(current.targets.clone()),
            (None, None) => Err(Error::UnknownRole {
                role: "targets".to_owned(),
            }),
        }
    }

    /// Everybody who must sign a document: for the root, also the quorum before.
    pub(super) fn quorums(&self, role: &str, current: Option<&Current>) -> Result<Vec<Quorum>, Error> {
        let root = self.root(current)?;
        match role {
            "root" => {
                let mut quorums = vec![root.quorum("root")?];
                if let Some(current) = current {
                    quorums.push(current.root.quorum("root")?);
                }
                Ok(quorums)
            }
            "targets" => Ok(vec![root.quorum("targets")?]),
            publisher => {
                let delegations = self.targets(current)?.delegations()?;
                let keys = read_keys("targets.json", &delegations.keys)?;
                let found = delegations.roles.iter().find(|role| role.name == publisher);
                let found = found.ok_or_else(|| Error::UnknownRole {
                    role: publisher.to_owned(),
                })?;
                Ok(vec![found.quorum(&keys)?])
            }
        }
    }
}

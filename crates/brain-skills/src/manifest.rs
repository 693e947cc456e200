//! What a skill says of itself in its `manifest.json`, and what it asks for.
//!
//! ```json
//! {
//!   "name": "word-count", "version": "1.0.0",
//!   "description": "Counts the words of a text.",
//!   "entrypoint": ["python3", "count.py"],
//!   "protocol": "json-rpc",
//!   "permissions": { "commands": ["count"], "limits": { "memoryBytes": 67108864 } },
//!   "checksum": "sha256:…"
//! }
//! ```
//!
//! Required are `name`, `version`, `description` and `entrypoint`. `signature`, `signatureAlgorithm` and
//! `signatureKeyId` are read because older manifests have them, and prove nothing: who published a skill is said by the
//! metadata of its registry. `files` lists, where it is there, all files but the manifest with their digests. `tools`
//! pins the tools of an MCP server by the digest of their definitions.
//!
//! Invariants: what cannot be meant is refused and never guessed: unknown fields, a key twice, text that
//! deceives whoever reads it; each problem names its field and what to do; a [`Manifest`] holds valid values alone.

mod entrypoint;
mod fields;
pub(crate) mod json;
mod permissions;

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use self::fields::Fields;
pub(crate) use self::fields::text;
pub use self::{
    entrypoint::Entrypoint,
    permissions::{Permissions, WantedLimits},
};
use crate::{SkillRef, bundle::path::CanonicalPath, digest::Digest};

/// What a manifest may hold.
const BOUNDS: json::Bounds = json::Bounds {
    bytes: 64 << 10,
    depth: 4,
    members: 1024,
    string: 4096,
};
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 1024;
/// The fields that a checksum does not count.
const UNCOUNTED: [&str; 4] = ["checksum", "signature", "signatureAlgorithm", "signatureKeyId"];

/// Something that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, such as `permissions.limits.memoryBytes`; empty for the document as a whole.
    pub field: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// The manifest cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("manifest.json cannot be accepted")?;
        let mut mark = ": ";
        for Problem { field, problem } in &self.problems {
            let colon = if field.is_empty() { "" } else { ": " };
            write!(f, "{mark}{field}{colon}{problem}")?;
            mark = "; ";
        }
        Ok(())
    }
}

/// How a skill is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// JSON-RPC 2.0, one message a line.
    #[default]
    JsonRpc,
    /// The Model Context Protocol on standard input and output.
    Mcp,
}

/// A signature in the manifest itself. It is kept, and never believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OldSignature {
    /// `signature`.
    pub signature: Option<String>,
    /// `signatureAlgorithm`.
    pub algorithm: Option<String>,
    /// `signatureKeyId`.
    pub key_id: Option<String>,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    reference: SkillRef,
    description: String,
    entrypoint: Entrypoint,
    protocol: Protocol,
    checksum: Option<Digest>,
    old_signature: OldSignature,
    permissions: Permissions,
    tools: Option<Digest>,
    files: Option<BTreeMap<CanonicalPath, Digest>>,
    canonical: Vec<u8>,
}

impl Manifest {
    /// Reads a manifest that must be that of this skill.
    ///
    /// # Errors
    /// [`Invalid`], with every problem.
    pub fn check(bytes: &[u8], reference: &SkillRef) -> Result<Self, Invalid> {
        let manifest = Self::read(bytes)?;
        if manifest.reference != *reference {
            return Err(invalid(
                "name",
                format!("it is the manifest of {}, not of {reference}", manifest.reference),
            ));
        }
        Ok(manifest)
    }

    /// Reads the manifest of whatever skill it names.
    ///
    /// # Errors
    /// [`Invalid`], with every problem.
    pub fn read(bytes: &[u8]) -> Result<Self, Invalid> {
        let value = json::read(bytes, BOUNDS).map_err(|problem| invalid("", problem))?;
        let Value::Object(members) = value else {
            return Err(invalid("", "it is no JSON object"));
        };
        let canonical = canonical(members.clone())?;
        let mut problems = Vec::new();
        let mut fields = Fields::new(members, "", &mut problems);
        let reference = reference(&mut fields);
        let description = fields
            .required("description")
            .and_then(|value| fields.text("description", value, MAX_DESCRIPTION));
        let entrypoint = fields
            .required("entrypoint")
            .and_then(|value| fields.parsed("entrypoint", |_| entrypoint::read(value)));
        let protocol = match fields.optional_text("protocol", 16).as_deref() {
            None | Some("json-rpc") => Protocol::JsonRpc,
            Some("mcp") => Protocol::Mcp,
            Some(_) => {
                fields.problem(
                    "protocol",
                    "it is not \"json-rpc\" or \"mcp\"; write one of them, or leave it out",
                );
                Protocol::JsonRpc
            }
        };
        let checksum = digest(&mut fields, "checksum");
        let tools = digest(&mut fields, "tools");
        if tools.is_some() && protocol != Protocol::Mcp {
            fields.problem("tools", "only servers of protocol \"mcp\" have tools; remove it");
        }
        let old_signature = OldSignature {
            signature: fields.optional_text("signature", 4096),
            algorithm: fields.optional_text("signatureAlgorithm", 64),
            key_id: fields.optional_text("signatureKeyId", 256),
        };
        let permissions = permissions::read(&mut fields);
        let files = files(&mut fields);
        fields.finish();
        match (reference, description, entrypoint) {
            (Some(reference), Some(description), Some(entrypoint)) if problems.is_empty() => Ok(Self {
                reference,
                description,
                entrypoint,
                protocol,
                checksum,
                old_signature,
                permissions,
                tools,
                files,
                canonical,
            }),
            _ => Err(Invalid { problems }),
        }
    }

    /// The skill.
    #[must_use]
    pub fn reference(&self) -> &SkillRef {
        &self.reference
    }

    /// What it is for.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What is executed.
    #[must_use]
    pub fn entrypoint(&self) -> &Entrypoint {
        &self.entrypoint
    }

    /// How it is talked to.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The checksum over its files that it states.
    #[must_use]
    pub fn checksum(&self) -> Option<Digest> {
        self.checksum
    }

    /// A signature that proves nothing.
    #[must_use]
    pub fn old_signature(&self) -> &OldSignature {
        &self.old_signature
    }

    /// What it asks for.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// The digest that the definitions of its tools must have.
    #[must_use]
    pub fn tools(&self) -> Option<Digest> {
        self.tools
    }

    /// All its files but the manifest, where it lists them.
    #[must_use]
    pub fn files(&self) -> Option<&BTreeMap<CanonicalPath, Digest>> {
        self.files.as_ref()
    }

    /// Its canonical JSON without the fields that a checksum does not count.
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }
}

fn invalid(field: &str, problem: impl Into<String>) -> Invalid {
    Invalid {
        problems: vec![Problem {
            field: field.to_owned(),
            problem: problem.into(),
        }],
    }
}

fn canonical(mut members: Map<String, Value>) -> Result<Vec<u8>, Invalid> {
    for field in UNCOUNTED {
        members.remove(field);
    }
    serde_jcs::to_vec(&Value::Object(members))
        .map_err(|error| invalid("", format!("it has no canonical form: {error}")))
}

fn reference(fields: &mut Fields<'_>) -> Option<SkillRef> {
    let mut text = |field| fields.required(field).and_then(|value| fields.text(field, value, 128));
    let (name, version) = (text("name"), text("version"));
    let joined = format!("{}@{}", name?, version?);
    joined
        .parse()
        .map_err(|error: crate::reference::Error| {
            let field = match error {
                crate::reference::Error::Name { .. } | crate::reference::Error::Incomplete { .. } => "name",
                _ => "version",
            };
            fields.problem(field, error.to_string());
        })
        .ok()
}

fn digest(fields: &mut Fields<'_>, field: &str) -> Option<Digest> {
    let text = fields.optional_text(field, 80)?;
    fields.parsed(field, |_| {
        text.parse()
            .map_err(|error: crate::digest::Malformed| error.to_string())
    })
}

fn files(fields: &mut Fields<'_>) -> Option<BTreeMap<CanonicalPath, Digest>> {
    let members = fields.optional_object("files")?;
    let mut files = BTreeMap::new();
    for (path, digest) in members {
        let read = || {
            let path: CanonicalPath = path
                .parse()
                .map_err(|error: crate::bundle::path::Malformed| error.to_string())?;
            let digest = digest
                .as_str()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| format!("{path} has no digest; write \"sha256:\" and 64 digits of 0-9 and a-f"))?;
            if path.as_str() == crate::bundle::tree::MANIFEST {
                return Err("manifest.json cannot list itself; remove it from the list".to_owned());
            }
            Ok((path, digest))
        };
        if let Some((path, digest)) = fields.parsed("files", |_| read()) {
            files.insert(path, digest);
        }
    }
    Some(files)
}

#[cfg(test)]
mod tests;

//! Settings of the audit trail: the key that signs its ends.

use std::path::PathBuf;
use std::time::Duration;

use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// How the audit trail is signed.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The file with the signing key; without one nothing is signed.
    pub signing_key_file: Option<PathBuf>,
    /// How often the ends of chains are signed.
    pub checkpoint_interval: Duration,
}

impl Audit {
    pub(crate) fn blank() -> Self {
        Self {
            signing_key_file: None,
            checkpoint_interval: Duration::ZERO,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Audit,
        "STUDIO_BRAIN_AUDIT_SIGNING_KEY_FILE",
        "",
        Valid::Path,
        Access::OptionalPath(|config| &mut config.audit.signing_key_file),
        "File with the Ed25519 key that signs checkpoints and exports of the audit trail: 32 bytes in base64 or PKCS#8 in PEM, \
         readable by its owner alone; `brain audit key generate` makes one. Empty signs nothing.",
    ),
    Definition::new(
        Section::Audit,
        "STUDIO_BRAIN_AUDIT_CHECKPOINT_INTERVAL_MS",
        "3600000",
        Valid::Number {
            min: 1_000,
            max: 86_400_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.audit.checkpoint_interval),
        "How often the end of each tenant's audit trail is signed, where it has grown.",
    ),
];

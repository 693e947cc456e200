//! Settings of governance.

use std::path::PathBuf;

use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// What agents may do to the world outside.
#[derive(Debug, Clone)]
pub struct Governance {
    /// The file that defines capabilities and policy; nothing may be done where there is none.
    pub capabilities_file: Option<PathBuf>,
}

impl Governance {
    pub(crate) fn blank() -> Self {
        Self {
            capabilities_file: None,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[Definition::new(
    Section::Governance,
    "STUDIO_BRAIN_CAPABILITIES_FILE",
    "",
    Valid::Path,
    Access::OptionalPath(|config| &mut config.governance.capabilities_file),
    "TOML file that defines what agents may do to the world outside, and under which rules (docs/CAPABILITIES.md). Without it \
     there are no capabilities. It is read at start; every replica needs the same one.",
)];

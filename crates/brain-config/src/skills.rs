//! Settings of the registries, installation and confinement of skills.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// Registries, installation and confinement of skills.
#[derive(Debug, Clone)]
pub struct Skills {
    /// Directory of the local registry.
    pub registry_local_path: PathBuf,
    /// Base URL of the remote registry.
    pub registry_remote_base_url: Option<Url>,
    /// Directory that skills are installed into.
    pub install_root: PathBuf,
    /// Whether a reference must name an exact version.
    pub require_pinning: bool,
    /// Whether a bundle must carry a checksum.
    pub require_checksum: bool,
    /// Whether a bundle must be signed.
    pub require_signature: bool,
    /// Skills that may be installed, as `name` or `name@version`; empty allows all.
    pub allowlist: Vec<String>,
    /// Skills that may never be installed, as `name` or `name@version`.
    pub denylist: Vec<String>,
    /// Whether skills run confined.
    pub sandbox_enabled: bool,
    /// Whether a skill is kept from the network.
    pub egress_deny: bool,
    /// Hosts that a skill may reach all the same.
    pub egress_allowlist: Vec<String>,
    /// Time that one call of a skill may take.
    pub entry_timeout: Duration,
    /// Commands that a skill may be asked to run.
    pub runtime_allowlist: Vec<String>,
}

impl Skills {
    pub(crate) fn blank() -> Self {
        Self {
            registry_local_path: PathBuf::new(),
            registry_remote_base_url: None,
            install_root: PathBuf::new(),
            require_pinning: false,
            require_checksum: false,
            require_signature: false,
            allowlist: Vec::new(),
            denylist: Vec::new(),
            sandbox_enabled: false,
            egress_deny: false,
            egress_allowlist: Vec::new(),
            entry_timeout: Duration::ZERO,
            runtime_allowlist: Vec::new(),
        }
    }
}

/// All of this section waits for the skill crate, so each entry is marked in one place.
const fn pending(
    name: &'static str,
    default: &'static str,
    valid: Valid,
    access: Access,
    help: &'static str,
) -> Definition {
    Definition::new(Section::Skills, name, default, valid, access, help).not_effective_yet()
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    pending(
        "STUDIO_BRAIN_SKILL_REGISTRY_LOCAL_PATH",
        "./skills-registry",
        Valid::Path,
        Access::Path(|config| &mut config.skills.registry_local_path),
        "Directory of the local registry.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_REGISTRY_REMOTE_BASE_URL",
        "",
        Valid::HttpUrl,
        Access::OptionalUrl(|config| &mut config.skills.registry_remote_base_url),
        "Base URL of the remote registry.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_INSTALL_ROOT",
        "/var/lib/studiobrain/skills",
        Valid::Path,
        Access::Path(|config| &mut config.skills.install_root),
        "Directory that skills are installed into.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_REQUIRE_PINNING",
        "true",
        Valid::Flag,
        Access::Flag(|config| &mut config.skills.require_pinning),
        "Whether a reference must name an exact version.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_REQUIRE_CHECKSUM",
        "true",
        Valid::Flag,
        Access::Flag(|config| &mut config.skills.require_checksum),
        "Whether a bundle must carry a checksum.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_REQUIRE_SIGNATURE",
        "false",
        Valid::Flag,
        Access::Flag(|config| &mut config.skills.require_signature),
        "Whether a bundle must be signed.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_ALLOWLIST",
        "",
        Valid::SkillReferences,
        Access::List(|config| &mut config.skills.allowlist),
        "Skills that may be installed; empty allows all that are not denied.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_DENYLIST",
        "",
        Valid::SkillReferences,
        Access::List(|config| &mut config.skills.denylist),
        "Skills that may never be installed; wins over the allow-list.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_SANDBOX_ENABLED",
        "true",
        Valid::Flag,
        Access::Flag(|config| &mut config.skills.sandbox_enabled),
        "Whether skills run confined.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_SANDBOX_EGRESS_DENY",
        "true",
        Valid::Flag,
        Access::Flag(|config| &mut config.skills.egress_deny),
        "Whether a skill is kept from the network.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_SANDBOX_EGRESS_ALLOWLIST",
        "",
        Valid::Hosts,
        Access::List(|config| &mut config.skills.egress_allowlist),
        "Hosts that a skill may reach all the same.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_SANDBOX_ENTRY_TIMEOUT_MS",
        "15000",
        Valid::Number {
            min: 250,
            max: 120_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.skills.entry_timeout),
        "Time that one call of a skill may take.",
    ),
    pending(
        "STUDIO_BRAIN_SKILL_RUNTIME_ALLOWLIST",
        "",
        Valid::Commands,
        Access::List(|config| &mut config.skills.runtime_allowlist),
        "Commands that a skill may be asked to run.",
    ),
];

//! Settings of the registries, installation and confinement of skills.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::Config;
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
    /// The root of a signed registry that is trusted to begin with.
    pub registry_root: Option<PathBuf>,
    /// The proxy through which a remote registry is reached.
    pub registry_proxy: Option<Url>,
    /// Time between looks at a signed registry.
    pub refresh_interval: Duration,
    /// Publishers whose skills may be installed; empty allows all.
    pub publishers: Vec<String>,
    /// Variables of this process that skills may be given.
    pub environment_allowlist: Vec<String>,
    /// The most memory that a skill may ask for, in bytes.
    pub memory_limit: u64,
    /// The most processes that a skill may ask for.
    pub max_processes: u32,
    /// Skills that run at a time.
    pub max_running: usize,
    /// Idle programs that are kept.
    pub warm_workers: usize,
    /// How old a program may become.
    pub warm_max_age: Duration,
    /// How many calls a program may serve.
    pub warm_max_calls: u32,
    /// How many tasks this brain works on at a time by skills.
    pub tasks: usize,
    /// Mechanisms that the sandbox may do without.
    pub sandbox_may_lack: Vec<String>,
    /// User ids that skills run as where the brain runs as root.
    pub sandbox_uids: RangeInclusive<u32>,
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
            registry_root: None,
            registry_proxy: None,
            refresh_interval: Duration::ZERO,
            publishers: Vec::new(),
            environment_allowlist: Vec::new(),
            memory_limit: 0,
            max_processes: 0,
            max_running: 0,
            warm_workers: 0,
            warm_max_age: Duration::ZERO,
            warm_max_calls: 0,
            tasks: 0,
            sandbox_may_lack: Vec::new(),
            sandbox_uids: 0..=0,
        }
    }
}

const fn setting(
    name: &'static str,
    default: &'static str,
    valid: Valid,
    access: Access,
    help: &'static str,
) -> Definition {
    Definition::new(Section::Skills, name, default, valid, access, help)
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    setting(
        "STUDIO_BRAIN_SKILL_REGISTRY_LOCAL_PATH",
        "./skills-registry",
        Valid::Path,
        Access::Path(|config| &mut config.skills.registry_local_path),
        "Registry on this machine, where no remote one is set: a signed (TUF) one where STUDIO_BRAIN_SKILL_REGISTRY_ROOT is set, else plain directories name/version.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_REGISTRY_REMOTE_BASE_URL",
        "",
        Valid::HttpUrl,
        Access::OptionalUrl(|config| &mut config.skills.registry_remote_base_url),
        "Base URL of a signed (TUF) registry; needs STUDIO_BRAIN_SKILL_REGISTRY_ROOT, and https:// unless it is on this machine.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_INSTALL_ROOT",
        "/var/lib/studiobrain/skills",
        Valid::Path,
        Access::Path(|config| &mut config.skills.install_root),
        "Directory that skills are installed into; each brain of a machine may use the same one. Without write access to it, skills are not served.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_REQUIRE_PINNING",
        "true",
        Valid::Flag,
        Access::Flag(|config| &mut config.skills.require_pinning),
        "Whether a reference must name an exact version. It always must; false is warned about.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_REQUIRE_CHECKSUM",
        "true",
        Valid::Flag,
        Access::Flag(|config| &mut config.skills.require_checksum),
        "Whether the manifest of an unsigned bundle must carry the checksum of its tree.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_REQUIRE_SIGNATURE",
        "false",
        Valid::Flag,
        Access::Flag(|config| &mut config.skills.require_signature),
        "Whether only skills from a signed registry may be installed.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_ALLOWLIST",
        "",
        Valid::SkillReferences,
        Access::List(|config| &mut config.skills.allowlist),
        "Skills that may be installed, with * in names and versions; empty allows all that are not denied.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_DENYLIST",
        "",
        Valid::SkillReferences,
        Access::List(|config| &mut config.skills.denylist),
        "Skills that may never be installed, and are not started where they are; wins over the allow-list.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_SANDBOX_ENABLED",
        "true",
        Valid::Flag,
        Access::Flag(|config| &mut config.skills.sandbox_enabled),
        "Whether skills run confined. Without it a skill can do whatever this process can.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_SANDBOX_EGRESS_DENY",
        "true",
        Valid::Flag,
        Access::Flag(|config| &mut config.skills.egress_deny),
        "Whether skills may reach the hosts of STUDIO_BRAIN_SKILL_SANDBOX_EGRESS_ALLOWLIST alone; else any public host that their manifest names.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_SANDBOX_EGRESS_ALLOWLIST",
        "",
        Valid::Hosts,
        Access::List(|config| &mut config.skills.egress_allowlist),
        "Hosts that skills may ask for in their manifest, each as it is written there: name or name:port, with * for any characters.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_SANDBOX_ENTRY_TIMEOUT_MS",
        "15000",
        Valid::Number {
            min: 250,
            max: 120_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.skills.entry_timeout),
        "Time that one call of a skill may take, its start included.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_RUNTIME_ALLOWLIST",
        "",
        Valid::Commands,
        Access::List(|config| &mut config.skills.runtime_allowlist),
        "Commands that skills may be asked to run, of those that their manifest names; empty allows all of those.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_REGISTRY_ROOT",
        "",
        Valid::Path,
        Access::OptionalPath(|config| &mut config.skills.registry_root),
        "The root.json of a signed (TUF) registry that is trusted to begin with; got on a way that is trusted, never from the registry itself.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_REGISTRY_PROXY_URL",
        "",
        Valid::HttpUrl,
        Access::OptionalUrl(|config| &mut config.skills.registry_proxy),
        "Proxy through which the registry at STUDIO_BRAIN_SKILL_REGISTRY_REMOTE_BASE_URL is reached; empty: directly.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_REFRESH_INTERVAL_MS",
        "60000",
        Valid::Number {
            min: 1000,
            max: 86_400_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.skills.refresh_interval),
        "Time between looks at a signed registry: for so long a revoked skill may still be started.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_PUBLISHERS",
        "",
        Valid::Commands,
        Access::List(|config| &mut config.skills.publishers),
        "Publishers whose signed skills may be installed; empty allows all.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_ENVIRONMENT_ALLOWLIST",
        "",
        Valid::Commands,
        Access::List(|config| &mut config.skills.environment_allowlist),
        "Variables of this process that skills may be given, where their manifest asks for them. Their values are kept out of logs and answers.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_MEMORY_LIMIT_BYTES",
        "536870912",
        Valid::Number {
            min: 16 << 20,
            max: 1 << 40,
            unit: "bytes",
        },
        Access::U64(|config| &mut config.skills.memory_limit),
        "The most memory that the manifest of a skill may ask for.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_MAX_PROCESSES",
        "64",
        Valid::Number {
            min: 1,
            max: 4096,
            unit: "",
        },
        Access::U32(|config| &mut config.skills.max_processes),
        "The most processes and threads that the manifest of a skill may ask for.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_MAX_RUNNING",
        "32",
        Valid::Number {
            min: 1,
            max: 10_000,
            unit: "",
        },
        Access::Usize(|config| &mut config.skills.max_running),
        "Skills that run at a time in this process, warm ones included; further calls wait.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_WARM_WORKERS",
        "8",
        Valid::Number {
            min: 0,
            max: 10_000,
            unit: "",
        },
        Access::Usize(|config| &mut config.skills.warm_workers),
        "Idle programs of skills that are kept for the next call; 0 starts one for each call.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_WARM_MAX_AGE_MS",
        "600000",
        Valid::Number {
            min: 1000,
            max: 86_400_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.skills.warm_max_age),
        "How old a program may become before it is replaced.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_WARM_MAX_CALLS",
        "1000",
        Valid::Number {
            min: 1,
            max: 1_000_000,
            unit: "",
        },
        Access::U32(|config| &mut config.skills.warm_max_calls),
        "How many calls a program may serve before it is replaced.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_TASKS",
        "0",
        Valid::Number {
            min: 0,
            max: 1000,
            unit: "",
        },
        Access::Usize(|config| &mut config.skills.tasks),
        "How many tasks that ask for the capability \"skill\" this brain works on at a time, for the swarm STUDIO_BRAIN_SWARM_ID; 0: none.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_SANDBOX_MAY_LACK",
        "dedicated_user,private_proc",
        Valid::Commands,
        Access::List(|config| &mut config.skills.sandbox_may_lack),
        "Mechanisms that the sandbox may do without, by the names that `brain sandbox check` prints; without the others no skill starts.",
    ),
    setting(
        "STUDIO_BRAIN_SKILL_SANDBOX_UIDS",
        "200000-265535",
        Valid::Text { max: 21 },
        Access::Parsed {
            set: set_uids,
            get: show_uids,
        },
        "User ids that skills run as, one for each running skill, where the brain runs as root; nothing else may use them.",
    ),
];

fn set_uids(config: &mut Config, text: &str) -> bool {
    let ends = text
        .split_once('-')
        .map(|(first, last)| (first.trim().parse(), last.trim().parse()));
    let Some((Ok(first), Ok(last))) = ends else {
        return false;
    };
    config.skills.sandbox_uids = first..=last;
    // Below are the users of the machine.
    first >= 1000 && first <= last && last < u32::MAX
}

fn show_uids(config: &Config) -> String {
    let uids = &config.skills.sandbox_uids;
    format!("{}-{}", uids.start(), uids.end())
}

//! Skills of this process: install root, registry, policy, sandbox, and the tasks that skills work on.

mod door;
mod executor;
mod probes;
mod tasks;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use brain_config::Config;
use brain_connectivity::postgres::Postgres;
use brain_http::skills::{Availability, Skills};
use brain_skills::{
    bundle::Bounds,
    calls,
    launch::{Enforced, Launch, Limits},
    plane::{Environment, Offers, Options, Plane},
    policy::{Maximum, Pattern, Policy},
    registry::{self, Registry, Source, TrustRoot, Unsigned},
    sandbox::{self, Mechanism, Plain, Sandbox},
    store::Store,
};
use brain_swarm::publish::Publisher;

pub(crate) use self::probes::Probes;
pub(super) use self::{
    executor::SkillExecutor,
    tasks::{Place, Tasks},
};

/// The skill plane where this brain serves it, and why not where it does not.
pub(super) struct Opened {
    pub(super) availability: Availability,
    pub(super) plane: Option<Plane>,
    pub(super) probes: Probes,
}

/// Opens what serves skills. A brain without it serves everything else, and says why.
pub(super) async fn open(config: &Config, postgres: &Postgres, publisher: &Publisher) -> Opened {
    match plane(config).await {
        Ok(plane) => {
            let skills = Skills::new(
                plane.clone(),
                postgres.clone(),
                publisher.clone(),
                config.skills.entry_timeout,
            );
            Opened {
                availability: Availability::Served(skills),
                probes: Probes::served(plane.clone()),
                plane: Some(plane),
            }
        }
        Err(error) => {
            let reason = format!("{error:#}");
            tracing::warn!(reason, "skills are not served");
            Opened {
                availability: Availability::Unserved(reason.as_str().into()),
                plane: None,
                probes: Probes::unserved(&reason),
            }
        }
    }
}

async fn plane(config: &Config) -> anyhow::Result<Plane> {
    let settings = &config.skills;
    let root = &settings.install_root;
    let store = Store::open(root, Bounds::default()).with_context(|| {
        format!(
            "STUDIO_BRAIN_SKILL_INSTALL_ROOT: {} cannot be used; name a directory that this user may write to",
            root.display()
        )
    })?;
    let policy = policy(config)?;
    let (launch, mechanisms) = launch(config)?;
    Ok(Plane::new(Options {
        store,
        offers: offers(config, &root.join("registry")).await?,
        policy,
        launch,
        mechanisms,
        pool: calls::Settings {
            processes: settings.max_running,
            idle: settings.warm_workers,
            idle_per_key: settings.warm_workers,
            max_age: settings.warm_max_age,
            max_calls: settings.warm_max_calls,
            ..calls::Settings::default()
        },
        environment: environment(&settings.environment_allowlist),
    }))
}

fn environment(names: &[String]) -> Environment {
    let set = names
        .iter()
        .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
    Environment::new(set)
}

/// What may be installed and started, as the settings say it.
pub(super) fn policy(config: &Config) -> anyhow::Result<Policy> {
    let settings = &config.skills;
    let patterns = |variable: &'static str, texts: &[String]| -> anyhow::Result<Vec<Pattern>> {
        let read = texts.iter().map(|text| text.parse::<Pattern>());
        read.collect::<Result<_, _>>().context(variable)
    };
    let any = || vec!["*".to_owned()];
    let hosts = match settings.egress_deny {
        true => settings.egress_allowlist.clone(),
        false => any(),
    };
    let commands = match settings.runtime_allowlist.is_empty() {
        true => any(),
        false => settings.runtime_allowlist.clone(),
    };
    Ok(Policy {
        require_checksum: settings.require_checksum,
        require_signature: settings.require_signature,
        allow: patterns("STUDIO_BRAIN_SKILL_ALLOWLIST", &settings.allowlist)?,
        deny: patterns("STUDIO_BRAIN_SKILL_DENYLIST", &settings.denylist)?,
        publishers: patterns("STUDIO_BRAIN_SKILL_PUBLISHERS", &settings.publishers)?,
        maximum: Maximum {
            egress_hosts: patterns("STUDIO_BRAIN_SKILL_SANDBOX_EGRESS_ALLOWLIST", &hosts)?,
            commands: patterns("STUDIO_BRAIN_SKILL_RUNTIME_ALLOWLIST", &commands)?,
            environment: patterns(
                "STUDIO_BRAIN_SKILL_ENVIRONMENT_ALLOWLIST",
                &settings.environment_allowlist,
            )?,
            limits: Limits {
                memory_bytes: settings.memory_limit,
                processes: settings.max_processes,
                open_files: 4096,
                scratch_bytes: settings.memory_limit,
                scratch_files: 65_536,
                cpu: Duration::from_secs(86_400),
                cpu_millis: 4000,
            },
        },
    })
}

async fn offers(config: &Config, state: &Path) -> anyhow::Result<Offers> {
    let settings = &config.skills;
    let local = &settings.registry_local_path;
    let Some(root) = &settings.registry_root else {
        let name = format!("directory {}", local.display());
        return Ok(Offers::Unsigned(Unsigned::new(local), name));
    };
    let json = std::fs::read_to_string(root)
        .with_context(|| format!("STUDIO_BRAIN_SKILL_REGISTRY_ROOT: {} cannot be read", root.display()))?;
    let trust = TrustRoot::new(&json).context("STUDIO_BRAIN_SKILL_REGISTRY_ROOT")?;
    let (source, name) = match &settings.registry_remote_base_url {
        Some(url) => (Source::Http(url.clone()), url.to_string()),
        None => (
            Source::Directory(local.clone()),
            format!("registry {}", local.display()),
        ),
    };
    let proxy = settings.registry_proxy.clone().map(|url| registry::Proxy {
        http: Some(url.clone()),
        https: Some(url),
        except: String::new(),
    });
    let reading = registry::Settings {
        proxy,
        ..registry::Settings::default()
    };
    let registry = Registry::open(&source, &trust, state, reading).await?;
    Ok(Offers::Signed(Box::new(registry), name))
}

/// How the sandbox is set up.
pub(crate) fn sandbox_settings(config: &Config) -> anyhow::Result<sandbox::Settings> {
    let settings = &config.skills;
    let may_be_missing = settings.sandbox_may_lack.iter().map(|name| name.parse::<Mechanism>());
    Ok(sandbox::Settings {
        users: settings.sandbox_uids.clone(),
        may_be_missing: may_be_missing
            .collect::<Result<_, _>>()
            .context("STUDIO_BRAIN_SKILL_SANDBOX_MAY_LACK")?,
        door: Some(Arc::new(door::Proxied::default())),
        ..sandbox::Settings::default()
    })
}

/// What starts programs, and what is known of each mechanism.
type Launcher = (Arc<dyn Launch>, Arc<[Enforced]>);

fn launch(config: &Config) -> anyhow::Result<Launcher> {
    if !config.skills.sandbox_enabled {
        return Ok((Arc::new(Plain), Plain.enforced()));
    }
    let sandbox = Sandbox::new(sandbox_settings(config)?).context("`brain sandbox check` says more")?;
    let mechanisms = sandbox.check().iter().map(sandbox::Report::enforced).collect();
    Ok((Arc::new(sandbox), mechanisms))
}

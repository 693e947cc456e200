//! The composition root of `brain serve`: builds every part, watches them, and stops them in order.
//!
//! Order of stopping: the server takes no new requests and answers those it has; schedules fire no more; what was accepted
//! for publishing is committed; the orchestrator ends after its current batch; the last traces go out; the connections close. Nothing acknowledged depends on it.
//!
//! The orchestrator starts its own consumers again when one dies. A part that ends as a whole cannot be replaced while
//! others hold handles to it: the process then stops in order with exit code 1, and its supervisor starts it anew.

mod governance;
mod parts;
mod signals;
mod skills;
mod startup;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use brain_config::Config;
use brain_skills::plane::Plane;
use brain_swarm::{
    audit,
    audit::checkpoints,
    bus, calls, event,
    governance::{Governance, policy::Policy, webhook::notices},
    ids, orchestrator, publish, relay, retention, schedules, tails,
};
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use self::parts::Parts;
pub(crate) use self::{
    governance::read_policy,
    signals::stop_on_signal,
    skills::{Probes, sandbox_settings},
};
use crate::{exit::Verdict, health::Dependencies, recorder, traces};

/// Time that the parts behind the server have to stop, each: a batch takes milliseconds, a statement has its time-out.
/// With the default time for draining, everything stops within the 30 seconds that supervisors usually give.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// More than the server's own limit on draining, so that it can end by itself.
const DRAIN_EXTRA: Duration = Duration::from_secs(2);

/// Everything that serves, built but not running.
pub(crate) struct App {
    config: Config,
    dependencies: Dependencies,
    server: brain_http::Server,
    publishing: publish::Service,
    orchestrator: Option<orchestrator::Service>,
    schedules: Option<schedules::Service>,
    retention: Option<retention::Service>,
    governance: Governance,
    notices: Option<notices::Service>,
    plane: Option<Plane>,
    skill_tasks: Option<skills::Tasks>,
    checkpoints: Option<checkpoints::Service>,
    traces: Option<traces::Service>,
    /// Ends what hands round events.
    following: CancellationToken,
    metrics: PrometheusHandle,
}

impl App {
    /// Builds every part and takes the port; needs no server to answer yet.
    pub(crate) async fn compose(mut config: Config, policy: Policy) -> anyhow::Result<Self> {
        let replica_id = replica_id();
        let run_id = config
            .swarm
            .run_id
            .get_or_insert_with(|| format!("run-{}", uuid::Uuid::now_v7()))
            .clone();
        let metrics = recorder::install(&replica_id)?;
        let dependencies = Dependencies::open(&config)?;
        let postgres = dependencies.postgres.clone();
        let streams = bus::StreamNames::new(&config.bus);
        let (tracer, traces) = traces::open(&config.telemetry, &replica_id)?;
        let queue = relay::RelayQueue::traced(tracer.clone());
        let (publishing, publisher) =
            publish::Service::new(postgres.clone(), streams, config.bus.batch_size, queue.clone());
        let (orchestrator, handle) = config
            .swarm
            .orchestrator_enabled
            .then(|| {
                orchestrator::Service::new(orchestrator::Options {
                    postgres: postgres.clone(),
                    redis: dependencies.redis.clone(),
                    bus: config.bus.clone(),
                    swarm: config.swarm.clone(),
                    publisher: publisher.clone(),
                    queue: queue.clone(),
                    replica_id: replica_id.clone(),
                })
            })
            .unzip();
        let (schedules, bell) = config
            .swarm
            .orchestrator_enabled
            .then(|| {
                schedules::Service::new(schedules::Options {
                    postgres: postgres.clone(),
                    publisher: publisher.clone(),
                    clock: schedules::Clock::default(),
                })
            })
            .unzip();
        let event_bus = orchestrator::EventBusProbe::new(
            handle.clone(),
            postgres.clone(),
            dependencies.redis.clone(),
            config.bus.clone(),
        );
        let calls = calls::Calls::new(
            postgres.clone(),
            publisher.clone(),
            config.swarm.task_lease,
            config.bus.max_event_bytes,
        );
        let retention = handle.clone().filter(|_| config.retention.enabled).map(|orchestrator| {
            retention::Service::new(retention::Options {
                postgres: postgres.clone(),
                streams: bus::StreamNames::new(&config.bus),
                orchestrator,
                days: config.retention.days,
                pace: retention::Pace::default(),
            })
        });
        let signer = config.audit.signing_key_file.as_deref().map(audit::Signer::read);
        let signer = signer
            .transpose()
            .context("STUDIO_BRAIN_AUDIT_SIGNING_KEY_FILE cannot be used")?;
        let checkpoints = signer.clone().map(|signer| {
            checkpoints::Service::new(checkpoints::Options {
                postgres: postgres.clone(),
                signer,
                interval: config.audit.checkpoint_interval,
            })
        });
        let opened = skills::open(&config, &postgres, &publisher).await;
        let (governance, notices) = governance::open(&config, policy, &postgres, (&replica_id, &opened.availability))?;
        let swarm_id = ids::SwarmId::new(config.swarm.swarm_id.as_str())?;
        let run_id = ids::RunId::new(run_id)?;
        let skill_tasks = skills::Tasks::new(
            &config.skills,
            &opened.availability,
            calls.clone(),
            skills::Place {
                swarm_id: swarm_id.clone(),
                run_id: run_id.clone(),
                replica_id: &replica_id,
            },
        )?;
        let following = CancellationToken::new();
        let services = brain_http::Services {
            tails: tails::Tails::new(postgres.clone(), queue, following.clone()),
            postgres,
            publisher,
            calls,
            governance: governance.clone(),
            skills: opened.availability,
            health: Arc::new(dependencies.health(event_bus, &opened.probes)),
            readiness: Arc::new(dependencies.readiness()),
            orchestrator: handle,
            schedules: bell,
            audit_signer: signer,
            metrics: recorder::render(metrics.clone()),
            tracer,
            defaults: event::Defaults {
                tenant_id: ids::TenantId::single(),
                generate: true,
                swarm_id: Some(swarm_id),
                run_id: Some(run_id),
                traceparent: None,
            },
            max_event_bytes: config.bus.max_event_bytes,
            service_name: config.telemetry.service_name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            replica_id,
            started_at: Timestamp::now(),
        };
        let server = brain_http::Server::bind(&config.server, services)?;
        Ok(Self {
            config,
            dependencies,
            server,
            publishing,
            orchestrator,
            schedules,
            retention,
            checkpoints,
            governance,
            notices,
            plane: opened.plane,
            skill_tasks,
            traces,
            following,
            metrics,
        })
    }

    /// Waits for the database and brings it to this version.
    pub(crate) async fn prepare(&self, migrate: bool) -> anyhow::Result<()> {
        startup::wait_for_postgres(&self.dependencies.postgres, &self.config.postgres).await?;
        startup::migrate(&self.dependencies.postgres, migrate).await
    }

    /// Whether callers need a token.
    pub(crate) fn needs_credentials(&self) -> bool {
        self.config.server.needs_credentials()
    }

    /// Where a client on this machine reaches the server.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", reachable(self.server.local_addr()))
    }

    /// Runs until `stop` or until a part ends that must not.
    pub(crate) async fn run(self, stop: CancellationToken) -> Verdict {
        let Self {
            config,
            dependencies,
            server,
            publishing,
            orchestrator,
            schedules,
            retention,
            checkpoints,
            governance,
            notices,
            plane,
            skill_tasks,
            traces,
            following,
            metrics,
        } = self;
        let mut parts = Parts::default();
        parts.start("http", config.server.drain_timeout + DRAIN_EXTRA, |stop| {
            server.run(stop)
        });
        // Before what it hands its events to, because parts stop in this order.
        if let Some(schedules) = schedules {
            parts.start("schedules", STOP_PATIENCE, |stop| schedules.run(stop));
        }
        if let Some(tasks) = skill_tasks {
            parts.start("skill-tasks", STOP_PATIENCE, |stop| tasks.run(stop));
        }
        // After those who call skills.
        if let Some(plane) = plane {
            let interval = config.skills.refresh_interval;
            parts.start("skills", STOP_PATIENCE, move |stop| plane.run(interval, stop));
        }
        parts.start("publish", STOP_PATIENCE, |stop| publishing.run(stop));
        if let Some(orchestrator) = orchestrator {
            parts.start("orchestrator", STOP_PATIENCE, |stop| orchestrator.run(stop));
        }
        if let Some(retention) = retention {
            parts.start("retention", STOP_PATIENCE, |stop| retention.run(stop));
        }
        if let Some(checkpoints) = checkpoints {
            parts.start("audit-checkpoints", STOP_PATIENCE, |stop| checkpoints.run(stop));
        }
        let sweep = brain_swarm::governance::Service::new(governance);
        parts.start("governance", STOP_PATIENCE, |stop| sweep.run(stop));
        if let Some(notices) = notices {
            parts.start("notices", STOP_PATIENCE, |stop| notices.run(stop));
        }
        // After all that tells it anything.
        if let Some(traces) = traces {
            parts.start("traces", STOP_PATIENCE, |stop| traces.run(stop));
        }
        // Nothing depends on these two; a panic of theirs is logged and harms nobody.
        let beside = [
            tokio::spawn(startup::ensure_bucket(dependencies.artifacts.clone())),
            tokio::spawn(recorder::keep_small(metrics)),
        ];

        let failed = tokio::select! {
            () = stop.cancelled() => false,
            _name = parts.ended() => true,
        };
        let clean = parts.stop().await;
        following.cancel();
        beside.iter().for_each(tokio::task::JoinHandle::abort);
        dependencies.close().await;
        tracing::info!(clean = clean && !failed, "stopped");
        Verdict::from(clean && !failed)
    }
}

/// A name for this process that no other has, with the name of its machine for people.
fn replica_id() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let host: String = host.trim().chars().filter(plain).take(60).collect();
    let unique = uuid::Uuid::new_v4().simple().to_string();
    match host.as_str() {
        "" => format!("brain-{}", &unique[..12]),
        host => format!("{host}-{}", &unique[..12]),
    }
}

/// An address that can be dialled: one that listens everywhere is reached through the loopback.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_url_can_be_dialled() {
        for (bound, dialled) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ] {
            assert_eq!(reachable(bound.parse().unwrap()).to_string(), dialled);
        }
    }

    #[test]
    fn replicas_have_names_of_their_own() {
        assert_ne!(replica_id(), replica_id());
        assert!(ids::ActorId::new(replica_id()).is_ok());
    }
}

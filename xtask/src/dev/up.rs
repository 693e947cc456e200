//! `cargo xtask dev-up`: the dependencies and `brain`, running and healthy, or nothing at all.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use brain_connectivity::artifacts::ArtifactStore;
use brain_devstack::process::log;

use super::brain::{self, Brain};
use super::engine::{self, Engine};
use super::health;
use super::layout::{Layout, Service};
use super::native::{self, Native};
use super::plan::{self, Action};
use super::settings::{Settings, is_here};
use crate::progress::Progress;
use crate::signals::{Ending, runtime};
use crate::workspace::build_brain;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stay attached, show brain's log, and stop what was started at Ctrl-C
    #[arg(long)]
    foreground: bool,
    /// Only the dependencies, without brain
    #[arg(long)]
    deps: bool,
    /// Build brain optimised
    #[arg(long)]
    release: bool,
    /// Start the dependencies as plain processes even where a Docker engine answers
    #[arg(long)]
    native: bool,
}

/// What this run started. Dropping it stops that, brain before what brain needs.
#[derive(Default)]
struct Started {
    brain: Option<Brain>,
    native: Native,
    engine: Option<Engine>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let settings = Settings::load()?;
    let layout = Layout::of_this_clone()?;
    layout.create()?;
    let lock = layout.lock()?;
    if layout.moved {
        eprintln!(
            "note: the servers do not run as root and may not enter this clone, so their data is in {}",
            layout.state().display()
        );
    }
    if settings.config.server.port == 0 && !args.deps {
        bail!("STUDIO_BRAIN_PORT is 0, any free port; dev-up needs to know which: set a number");
    }
    runtime()?.block_on(async {
        let mut ending = Ending::listen()?;
        let started = tokio::select! {
            started = start(&args, &layout, &settings) => started?,
            // Dropping the start stops whatever part of it was up already.
            _ = ending.next() => {
                eprintln!("interrupted; what was started is stopped again");
                return Ok(ExitCode::from(130));
            }
        };
        if args.foreground {
            drop(lock);
            return stay(started, &layout, &mut ending).await;
        }
        if let Some(brain) = started.brain {
            brain.leave_running();
        }
        if let Some(engine) = started.engine {
            engine.leave_running();
        }
        started.native.leave_running()?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn start(args: &Args, layout: &Layout, settings: &Settings) -> Result<Started> {
    let by_engine = !args.native && (layout.engine_note().is_file() || engine::answers());
    let mut wanted = Vec::new();
    for service in [Service::Postgres, Service::Redis, Service::S3] {
        let action = if by_engine {
            Action::Leave
        } else {
            plan::decide(service, layout, settings).await
        };
        wanted.push((service, action));
    }
    if !args.deps {
        // What a running brain needs shows only once its program is built; a taken port is told before that.
        let action = if layout.running(Service::Brain).is_some() {
            Action::Keep
        } else {
            Action::Start
        };
        wanted.push((Service::Brain, action));
    }
    plan::require_free_ports(&wanted, settings)?;
    let program = if args.deps {
        None
    } else {
        Some(build_brain(args.release).await?)
    };
    if let Some(program) = &program {
        wanted.retain(|(service, _)| *service != Service::Brain);
        wanted.push((Service::Brain, decide_brain(program, layout, settings).await));
    }
    announce(&wanted, by_engine);

    let mut started = Started::default();
    if by_engine {
        eprintln!("starting the dependencies with Docker ...");
        started.engine = Some(tokio::task::block_in_place(|| Engine::start(layout))?);
    } else {
        started.native = Native::start(&wanted, layout, settings).await?;
        if is_here(&settings.config.postgres.host) {
            native::prepare_database(settings).await?;
        }
    }
    if is_here(settings.config.artifacts.endpoint.host_str().unwrap_or_default()) {
        ArtifactStore::open(&settings.config.artifacts)?.ensure_bucket().await?;
    }
    if let Some(program) = program {
        if wanted
            .iter()
            .any(|(service, action)| *service == Service::Brain && *action != Action::Keep)
        {
            started.brain = Some(start_brain(program, layout, settings).await?);
        }
        require_health(settings).await?;
    }
    print_places(settings, !args.deps);
    Ok(started)
}

async fn decide_brain(program: &Path, layout: &Layout, settings: &Settings) -> Action {
    if layout.running(Service::Brain).is_none() {
        return Action::Start;
    }
    if !layout.runs_with(Service::Brain, &brain::fingerprint(program, settings)) {
        return Action::Restart("the program or its settings changed");
    }
    match health::get(&format!("{}/healthz", settings.base_url()), None).await {
        Ok(_) => Action::Keep,
        Err(_) => Action::Restart("it does not answer"),
    }
}

async fn start_brain(program: PathBuf, layout: &Layout, settings: &Settings) -> Result<Brain> {
    let progress = Progress::start("applying the migrations");
    tokio::task::block_in_place(|| brain::migrate(&program, settings))?;
    progress.change("starting brain");
    tokio::task::block_in_place(|| layout.stop(Service::Brain))?;
    let fingerprint = brain::fingerprint(&program, settings);
    let brain = Brain::start(program, layout, settings).await?;
    layout.note_settings(Service::Brain, &fingerprint)?;
    Ok(brain)
}

/// Shows the health table; fails when a dependency that is wanted does not work at all.
async fn require_health(settings: &Settings) -> Result<()> {
    let report = health::settled(&settings.base_url(), settings.config.server.admin_token.as_ref()).await?;
    println!("{}\n", health::table(&report));
    let failed = health::failed(&report);
    if !failed.is_empty() {
        bail!(
            "brain runs, but not healthy: {}; `cargo xtask dev-logs brain` may say why",
            failed.join(", ")
        );
    }
    if !report.ok {
        eprintln!("note: something works, but not at its best; the table says what");
    }
    Ok(())
}

fn announce(wanted: &[(Service, Action)], by_engine: bool) {
    for (service, action) in wanted {
        match action {
            Action::Keep => eprintln!("{} is already running", service.title()),
            Action::Restart(why) => eprintln!("{} is restarted: {why}", service.title()),
            Action::Leave if !by_engine => {
                eprintln!("{} is not started: the settings name another machine", service.title());
            }
            Action::Leave | Action::Start => {}
        }
    }
}

fn print_places(settings: &Settings, with_brain: bool) {
    let config = &settings.config;
    println!(
        "PostgreSQL  {}:{}, database {}",
        config.postgres.host, config.postgres.port, config.postgres.database
    );
    println!("Valkey      {}:{}", config.redis.host, config.redis.port);
    println!("S3          {}", config.artifacts.endpoint);
    if with_brain {
        let base = settings.base_url();
        println!("brain       {base}");
        for path in ["/healthz", "/health/dependencies", "/api/status", "/metrics"] {
            println!("            {base}{path}");
        }
    }
    println!("logs: `cargo xtask dev-logs`; stop: `cargo xtask dev-down`");
}

/// Shows brain's log until asked to end or until brain ends, then stops what this run started.
async fn stay(mut started: Started, layout: &Layout, ending: &mut Ending) -> Result<ExitCode> {
    eprintln!("Ctrl-C stops what was started");
    let log_file = layout.log(Service::Brain);
    let mut from = log::length(&log_file);
    let mut look = tokio::time::interval(Duration::from_millis(100));
    let outcome = loop {
        tokio::select! {
            _ = ending.next() => break Ok(ExitCode::SUCCESS),
            _ = look.tick() => {
                from = super::logs::print_new(&log_file, from)?;
                if started.brain.as_mut().is_some_and(|brain| !brain.is_running()) {
                    break Err(anyhow::anyhow!("brain ended by itself; its log is {}", log_file.display()));
                }
            }
        }
    };
    if let Some(brain) = started.brain {
        brain.stop().await;
        super::logs::print_new(&log_file, from)?;
    }
    started.native.stop().await?;
    outcome
}

//! `bench tasks`: full life cycles of tasks, one by one and in batches, in process and over HTTP, and claims from a long queue.

mod ceiling;
mod cycles;
mod depth;

use std::time::Duration;

use anyhow::Result;

use self::cycles::{Cycles, Plan};
use super::{
    Run,
    brain::Brain,
    desk::{HttpDesk, Library},
    report::{Report, ratio},
};

/// What others publish, measured on the machine of the targets: tasks that Graphile Worker processes, and that BullMQ enqueues.
const GRAPHILE_WORKER: f64 = 2_500.0;
const BULLMQ: f64 = 12_000.0;
/// Events of one transaction of the service, as configured by default.
const SERVICE_BATCH: usize = 512;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long each throughput is measured, after five seconds of warm-up
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Workers that create, claim and complete at the same time
    #[arg(long, default_value_t = 8)]
    workers: usize,
    /// Tasks that a worker creates, claims and completes with one call each, where it works in batches
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(2..=1000))]
    batch: u16,
    /// Tasks in the long queue
    #[arg(long, default_value_t = 1_000_000)]
    queued: usize,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Single, Part::Batch, Part::Swarms, Part::Http, Part::Depth])]
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// One by one, in process
    Single,
    /// In batches, in process
    Batch,
    /// Both in process, the workers spread over four swarms
    Swarms,
    /// Both over HTTP
    Http,
    /// Claims from a long queue
    Depth,
}

pub(super) async fn run(run: &Run, args: &Args, report: &mut Report) -> Result<()> {
    let batch = usize::from(args.batch);
    let window = Duration::from_secs(args.seconds.max(1));
    report.condition("workers", args.workers);
    report.condition("tasks of a batch", batch);
    report.condition("events of a transaction, at most", SERVICE_BATCH);
    report.condition("seconds, after 5 of warm-up", args.seconds);
    let wants = |part| args.parts.contains(&part);
    let single = Plan {
        workers: args.workers,
        batch: 1,
        swarms: 1,
        window,
    };
    let batches = Plan { batch, ..single };

    let mut ceilings = (0.0, 0.0);
    if wants(Part::Single) {
        run.progress.change("one by one: the ceiling");
        ceilings.0 = ceiling::single(&run.servers, 8, window).await?;
        report.add(
            "ceiling: three bare one-row transactions, 8 connections",
            ceilings.0,
            "life cycles/s",
        );
        run.progress.change("one by one: the library");
        let cycles = in_process(run, "tasks_single", single).await?;
        add(report, "one by one, in process", &cycles);
        report.at_least(
            "one by one, in process: ratio to the ceiling",
            ratio(cycles.per_second, ceilings.0),
            "",
            0.5,
        );
        report.at_least(
            "one by one, in process: times what Graphile Worker processes (2,500/s)",
            cycles.per_second / GRAPHILE_WORKER,
            "",
            1.0,
        );
    }
    if wants(Part::Batch) {
        for connections in [1, 2] {
            run.progress
                .change(&format!("in batches: the ceiling, {connections} connection(s)"));
            let ceiling = ceiling::batches(&run.servers, connections, batch, window).await?;
            report.add(
                format!("ceiling: the same for {batch} rows a transaction, {connections} connection(s)"),
                ceiling,
                "life cycles/s",
            );
            if connections == 1 {
                ceilings.1 = ceiling;
            }
        }
        run.progress.change("in batches: the library");
        let cycles = in_process(run, "tasks_batch", batches).await?;
        add(report, "in batches, in process", &cycles);
        report.add(
            "in batches, in process: ratio to the ceiling of one connection",
            ratio(cycles.per_second, ceilings.1),
            "",
        );
        report.at_least(
            "in batches, in process: times what BullMQ enqueues (12,000/s)",
            cycles.per_second / BULLMQ,
            "",
            1.0,
        );
    }
    if wants(Part::Swarms) {
        for (name, plan, against) in [
            (
                "one by one, four swarms",
                single,
                ("Graphile Worker processes (2,500/s)", GRAPHILE_WORKER),
            ),
            (
                "in batches, four swarms",
                batches,
                ("BullMQ enqueues (12,000/s)", BULLMQ),
            ),
        ] {
            run.progress.change(name);
            let cycles = in_process(run, "tasks_swarms", Plan { swarms: 4, ..plan }).await?;
            add(report, name, &cycles);
            report.at_least(
                format!("{name}: times what {}", against.0),
                cycles.per_second / against.1,
                "",
                1.0,
            );
        }
    }
    if wants(Part::Http) {
        over_http(run, report, single, "one by one", ceilings.0).await?;
        over_http(run, report, batches, "in batches", ceilings.1).await?;
    }
    if wants(Part::Depth) {
        depth::measure(run, report, args.queued).await?;
    }
    Ok(())
}

async fn in_process(run: &Run, database: &str, plan: Plan) -> Result<Cycles> {
    let client = run.servers.database(database, None).await?;
    let library = Library::start(&run.servers, database, SERVICE_BATCH)?;
    let desks = (0..plan.workers)
        .map(|worker| library.desk(worker, plan.swarms))
        .collect::<Result<Vec<_>>>()?;
    let cycles = cycles::measure(desks, plan, &client).await?;
    drop((library, client));
    run.servers.forget(database).await?;
    Ok(cycles)
}

async fn over_http(run: &Run, report: &mut Report, plan: Plan, name: &str, ceiling: f64) -> Result<()> {
    run.progress.change(&format!("{name}: over HTTP"));
    let database = if plan.batch == 1 {
        "tasks_http_single"
    } else {
        "tasks_http_batch"
    };
    let client = run.servers.database(database, Some(&run.brain)).await?;
    let brain = Brain::start(&run.servers, &run.brain, database, &[]).await?;
    if HttpDesk::is_served(&brain).await? {
        let mut desks = Vec::new();
        for worker in 0..plan.workers {
            desks.push(HttpDesk::open(&brain, worker).await?);
        }
        let cycles = cycles::measure(desks, plan, &client).await?;
        let name = format!("{name}, over HTTP");
        add(report, &name, &cycles);
        if ceiling > 0.0 {
            report.add(format!("{name}: ratio to the ceiling"), cycles.per_second / ceiling, "");
        }
        let rss = super::footprint::peak_rss(brain.pid())?;
        report.at_most(
            format!("{name}: memory of the brain"),
            super::report::mib(rss),
            "MiB",
            120.0,
        );
    } else {
        report.note(format!(
            "{name}, over HTTP: this brain does not hand out tasks over HTTP"
        ));
    }
    drop((brain, client));
    run.servers.forget(database).await
}

fn add(report: &mut Report, name: &str, cycles: &Cycles) {
    report.add(name, cycles.per_second, "life cycles/s");
    for (step, times) in [
        ("create", &cycles.create),
        ("claim", &cycles.claim),
        ("complete", &cycles.complete),
    ] {
        report.times(&format!("{name}: {step}"), times, None);
    }
}

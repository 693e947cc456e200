//! What an idle brain costs, and how long it takes to start.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use fred::{interfaces::ClientLike as _, types::InfoKind};
use tokio_postgres::Client;

use super::{
    brain::{Brain, Servers},
    report::{Report, mib},
};

const DATABASE: &str = "footprint";
/// A database connection reports what it counted ten seconds after it fell idle: the start must not be counted.
const SETTLE: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_secs(30);
const STARTS: usize = 5;
const PAUSE_AUTOVACUUM: &str = "ALTER SYSTEM SET autovacuum = off";
const RESUME_AUTOVACUUM: &str = "ALTER SYSTEM RESET autovacuum";
const RELOAD: &str = "SELECT pg_reload_conf()";
const VACUUM_LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
pub(super) struct Footprint {
    idle: Idle,
    /// The median of several starts, migrations applied.
    start_to_ready: Duration,
}

/// What a brain costs that nobody asks for anything.
#[derive(Debug, Clone)]
pub(super) struct Idle {
    /// Transactions a second that the database counted for the brain alone.
    statements_per_second: f64,
    redis_commands_per_second: f64,
    /// Of one core.
    cpu_percent: f64,
    rss: u64,
}

pub(super) async fn measure(servers: &Servers, program: &Path) -> Result<Footprint> {
    servers.database(DATABASE, Some(program)).await?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(Brain::start(servers, program, DATABASE, &[]).await?.ready_in);
    }
    starts.sort();
    let brain = Brain::start(servers, program, DATABASE, &[]).await?;
    Ok(Footprint {
        idle: idle(servers, &brain, DATABASE).await?,
        start_to_ready: starts[STARTS / 2],
    })
}

/// Watches a brain that is alone on its database for a while.
pub(super) async fn idle(servers: &Servers, brain: &Brain, database: &str) -> Result<Idle> {
    // Watched from another database, so that watching is not counted.
    let watcher = servers.connect("postgres").await?;
    pause_autovacuum(&watcher).await?;
    tokio::time::sleep(SETTLE).await;
    let transactions = async || -> Result<i64> {
        let sql = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1";
        watcher.batch_execute("SELECT pg_stat_clear_snapshot()").await?;
        Ok(watcher.query_one(sql, &[&database]).await?.get(0))
    };
    let redis = servers.redis().await?;
    let commands = async || -> Result<i64> {
        let info: String = redis.info(Some(InfoKind::Stats)).await?;
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("total_commands_processed:"));
        Ok(line.context("redis does not count its commands")?.trim().parse()?)
    };
    let (statements_before, commands_before, ticks_before) =
        (transactions().await?, commands().await?, cpu_ticks(brain.pid())?);
    tokio::time::sleep(WINDOW).await;
    let (statements, asked, ticks) = (transactions().await?, commands().await?, cpu_ticks(brain.pid())?);
    watcher.batch_execute(RESUME_AUTOVACUUM).await?;
    watcher.batch_execute(RELOAD).await?;
    let seconds = WINDOW.as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    Ok(Idle {
        statements_per_second: (statements - statements_before) as f64 / seconds,
        // The question itself was one.
        redis_commands_per_second: (asked - commands_before - 1).max(0) as f64 / seconds,
        cpu_percent: (ticks - ticks_before) as f64 / seconds,
        rss: rss(brain.pid())?,
    })
}

/// What the database does for itself would be counted as the brain's.
async fn pause_autovacuum(client: &Client) -> Result<()> {
    client.batch_execute(PAUSE_AUTOVACUUM).await?;
    client.batch_execute(RELOAD).await?;
    let started = Instant::now();
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'";
    while client.query_one(workers, &[]).await?.get::<_, i64>(0) > 0 {
        if started.elapsed() > VACUUM_LIMIT {
            bail!("autovacuum does not come to an end");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

impl Footprint {
    pub(super) fn add_to(&self, report: &mut Report) {
        self.idle.add_to(report, "idle");
        report.at_most("idle: memory", mib(self.idle.rss), "MiB", 30.0);
        report.at_most(
            "from start to ready, migrations applied",
            self.start_to_ready.as_secs_f64() * 1000.0,
            "ms",
            300.0,
        );
    }
}

impl Idle {
    pub(super) fn add_to(&self, report: &mut Report, when: &str) {
        report.at_most(
            format!("{when}: statements of the brain"),
            self.statements_per_second,
            "a second",
            2.0,
        );
        report.at_most(
            format!("{when}: Redis commands of the brain"),
            self.redis_commands_per_second,
            "a second",
            5.0,
        );
        report.at_most(format!("{when}: processor"), self.cpu_percent, "% of a core", 0.5);
    }
}

/// User and system time in hundredths of a second, as the kernel counts them.
/// Seconds of processor time that all processes named brain, postgres and valkey-server have used so far.
pub(super) fn busy() -> Result<[f64; 3]> {
    let mut seconds = [0.0; 3];
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        // A process that ends meanwhile has no files any more.
        let Ok(name) = std::fs::read_to_string(path.join("comm")) else {
            continue;
        };
        let place = ["brain", "postgres", "valkey-server"]
            .iter()
            .position(|known| *known == name.trim());
        let pid = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        if let (Some(place), Some(pid)) = (place, pid)
            && let Ok(ticks) = cpu_ticks(pid)
        {
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            let used = ticks as f64 / 100.0;
            seconds[place] += used;
        }
    }
    Ok(seconds)
}

pub(super) fn cpu_ticks(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit(')').next().context("an odd stat file")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

/// The most memory a process has used, in bytes.
pub(super) fn peak_rss(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmHWM:")
}

/// The memory that a process uses now, in bytes.
pub(super) fn rss(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmRSS:")
}

fn status_bytes(pid: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .context("an odd status file")?;
    Ok(line
        .split_whitespace()
        .next()
        .context("an odd status file")?
        .parse::<u64>()?
        * 1024)
}

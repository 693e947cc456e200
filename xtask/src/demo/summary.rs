//! What the database says about the story, and what is missing from it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use brain_config::Config;
use brain_connectivity::{postgres::Postgres, redis::Redis};
use brain_swarm::doctor;
use comfy_table::{Table, presets};
use tokio_postgres::types::ToSql;

use super::LOOK_AGAIN;
use super::meter::Meter;
use super::story::Story;

/// Age from which an event that no stream has seen counts as stuck.
const RELAY_DEADLINE: Duration = Duration::from_secs(30);
/// Things that are named one by one; the rest is counted.
const NAMED: usize = 10;

/// One line of the summary.
struct Line {
    what: &'static str,
    expected: usize,
    found: usize,
    /// What is wrong, one by one.
    missing: Vec<String>,
}

/// Milliseconds from `createdAt`, by the publisher's clock, which is this machine's.
struct Latency {
    what: &'static str,
    p50: f64,
    p99: f64,
}

/// What the database says.
pub(super) struct Summary {
    lines: Vec<Line>,
    latencies: Vec<Latency>,
    findings: Vec<doctor::Finding>,
    took: Duration,
    tasks: usize,
}

/// Waits until every task has its agent. Gives up when nothing has changed for `patience`.
pub(super) async fn wait_until_assigned(
    database: &Postgres,
    story: &Story,
    meter: &Meter,
    patience: Duration,
) -> anyhow::Result<()> {
    let (mut last, mut changed) = ((0, 0, 0), Instant::now());
    loop {
        let row = one(
            database,
            include_str!("sql/count_progress.sql"),
            &[&story.swarm.as_str()],
        )
        .await?;
        let (stored, assigned) = (count(&row, 0)?, count(&row, 1)?);
        meter.show(stored, assigned);
        if assigned >= story.tasks.len() {
            return Ok(());
        }
        let now = (meter.published(), stored, assigned);
        if now != last {
            (last, changed) = (now, Instant::now());
        }
        if changed.elapsed() > patience {
            let (published, stored, assigned) = now;
            bail!(
                "nothing happened for {} s: {published} of {} tasks published, {stored} stored, {assigned} assigned",
                patience.as_secs(),
                story.tasks.len()
            );
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Waits until every task is completed.
pub(super) async fn wait_until_completed(database: &Postgres, story: &Story, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let row = one(
            database,
            include_str!("sql/count_completed.sql"),
            &[&story.swarm.as_str()],
        )
        .await?;
        let completed = count(&row, 0)?;
        if completed >= story.tasks.len() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "only {completed} of {} tasks are completed after {} s",
                story.tasks.len(),
                patience.as_secs()
            );
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Which agent holds which task.
pub(super) async fn holders(database: &Postgres, story: &Story) -> anyhow::Result<Vec<(String, String)>> {
    let client = database.client().await?;
    let rows = client
        .query(include_str!("sql/select_holders.sql"), &[&story.swarm.as_str()])
        .await;
    let rows = rows.context("cannot read who holds the tasks")?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Reads the whole summary.
pub(super) async fn read(
    database: &Postgres,
    redis: &Redis,
    config: &Config,
    story: &Story,
    took: Duration,
) -> anyhow::Result<Summary> {
    let swarm = story.swarm.as_str();
    let events: Vec<&str> = story.tasks.iter().map(|task| task.event_id.as_str()).collect();
    let tasks: Vec<&str> = story.tasks.iter().map(|task| task.task_id.as_str()).collect();
    let total = story.tasks.len();
    let line = async |what: &'static str, sql: &str, parameters: &[&(dyn ToSql + Sync)]| -> anyhow::Result<Line> {
        let missing = texts(database, sql, parameters)
            .await
            .with_context(|| format!("cannot check: {what}"))?;
        Ok(Line {
            what,
            expected: total,
            found: total.saturating_sub(missing.len()),
            missing,
        })
    };
    let lines = vec![
        line(
            "events stored once",
            include_str!("sql/select_events_not_once.sql"),
            &[&swarm, &events, &tasks],
        )
        .await?,
        line(
            "tasks with a live agent",
            include_str!("sql/select_tasks_not_held.sql"),
            &[&swarm, &tasks],
        )
        .await?,
        line(
            "follow-ups with their cause",
            include_str!("sql/select_causes_without_follow_up.sql"),
            &[&swarm, &events, &tasks],
        )
        .await?,
    ];
    let dead = texts(database, include_str!("sql/select_dead_letters.sql"), &[&swarm]).await?;
    let dead = Line {
        what: "dead letters of the swarm",
        expected: 0,
        found: dead.len(),
        missing: dead,
    };
    Ok(Summary {
        lines: lines.into_iter().chain([dead]).collect(),
        latencies: latencies(database, swarm).await?,
        findings: doctor::check(database, Some(redis), &config.bus, RELAY_DEADLINE).await?,
        took,
        tasks: total,
    })
}

async fn latencies(database: &Postgres, swarm: &str) -> anyhow::Result<Vec<Latency>> {
    let row = one(database, include_str!("sql/select_latencies.sql"), &[&swarm]).await?;
    let names = [
        "publish to stored, HTTP",
        "publish to stored, XADD",
        "publish to assigned, HTTP",
        "publish to assigned, XADD",
    ];
    let mut latencies = Vec::new();
    for (index, what) in names.into_iter().enumerate() {
        // Nothing is there when no such event is stored; the lines above say so.
        if let Some(found) = row.try_get::<_, Option<Vec<f64>>>(index)?
            && let [p50, p99] = found[..]
        {
            latencies.push(Latency { what, p50, p99 });
        }
    }
    Ok(latencies)
}

impl Summary {
    /// The summary for people.
    pub(super) fn text(&self) -> String {
        let verdict = |ok: bool| if ok { "ok" } else { "NOT OK" };
        let mut counts = Table::new();
        counts
            .load_style(presets::UTF8_FULL_CONDENSED)
            .set_header(["from the database", "expected", "found", ""]);
        for line in &self.lines {
            let (expected, found) = (line.expected.to_string(), line.found.to_string());
            counts.add_row([line.what, &expected, &found, verdict(line.missing.is_empty())]);
        }
        let mut times = Table::new();
        times
            .load_style(presets::UTF8_FULL_CONDENSED)
            .set_header(["milliseconds", "p50", "p99"]);
        for latency in &self.latencies {
            times.add_row([
                latency.what,
                &format!("{:.1}", latency.p50),
                &format!("{:.1}", latency.p99),
            ]);
        }
        let invariants = self.findings.iter().map(|finding| {
            let verdict = verdict(finding.violations == 0);
            format!(
                "  {verdict}  {}: {} ({})",
                finding.invariant, finding.title, finding.checked
            )
        });
        let invariants: Vec<String> = invariants.collect();
        let seconds = self.took.as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
        let rate = self.tasks as f64 / seconds.max(0.001);
        format!(
            "{counts}\n{times}\ninvariants of all stored data:\n{}\n{} tasks in {seconds:.2} s: {rate:.0} a second",
            invariants.join("\n"),
            self.tasks
        )
    }

    /// Everything that is wrong, one sentence each.
    pub(super) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for line in self.lines.iter().filter(|line| !line.missing.is_empty()) {
            missing.extend(
                line.missing
                    .iter()
                    .take(NAMED)
                    .map(|item| format!("{}: {item}", line.what)),
            );
            if line.missing.len() > NAMED {
                missing.push(format!("{}: and {} more", line.what, line.missing.len() - NAMED));
            }
        }
        for finding in self.findings.iter().filter(|finding| finding.violations > 0) {
            let samples = finding
                .samples
                .iter()
                .take(NAMED)
                .cloned()
                .collect::<Vec<_>>()
                .join("; ");
            missing.push(format!(
                "invariant {} ({}) has {} violations: {samples}",
                finding.invariant, finding.title, finding.violations
            ));
        }
        missing
    }
}

async fn one(
    database: &Postgres,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> anyhow::Result<tokio_postgres::Row> {
    let client = database.client().await?;
    client
        .query_one(sql, parameters)
        .await
        .context("cannot ask the database")
}

async fn texts(database: &Postgres, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> anyhow::Result<Vec<String>> {
    let client = database.client().await?;
    let rows = client.query(sql, parameters).await.context("cannot ask the database")?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn count(row: &tokio_postgres::Row, index: usize) -> anyhow::Result<usize> {
    Ok(usize::try_from(row.try_get::<_, i64>(index)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(missing: usize, violations: u64) -> Summary {
        let missing = (1..=missing).map(|number| format!("event {number}")).collect();
        Summary {
            lines: vec![Line {
                what: "events stored once",
                expected: 20,
                found: 8,
                missing,
            }],
            latencies: vec![Latency {
                what: "publish to stored, HTTP",
                p50: 1.25,
                p99: 4.0,
            }],
            findings: vec![doctor::Finding {
                invariant: 1,
                title: "per swarm, seq runs 1..n",
                checked: "3 swarms".to_owned(),
                violations,
                samples: vec!["swarm s lacks 7".to_owned()],
            }],
            took: Duration::from_secs(2),
            tasks: 20,
        }
    }

    #[test]
    fn what_is_wrong_is_named_up_to_a_number_and_counted_beyond() {
        assert_eq!(summary(0, 0).missing(), [""; 0]);
        let missing = summary(12, 1).missing();
        assert_eq!(missing[0], "events stored once: event 1");
        assert_eq!(missing[NAMED], "events stored once: and 2 more");
        assert_eq!(
            missing[NAMED + 1],
            "invariant 1 (per swarm, seq runs 1..n) has 1 violations: swarm s lacks 7"
        );
    }

    #[test]
    fn the_summary_says_what_is_not_ok() {
        assert!(!summary(0, 0).text().contains("NOT OK"));
        assert_eq!(summary(1, 1).text().matches("NOT OK").count(), 2);
    }
}

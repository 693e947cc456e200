//! `brain doctor --invariants`: checks stored data for what must always hold.

use std::time::Duration;

use brain_config::Config;
use brain_connectivity::{postgres::Postgres, redis::Redis};
use brain_swarm::doctor::{self, Finding};
use serde_json::json;

use crate::cli::{DoctorArgs, Format};
use crate::exit::Verdict;
use crate::render::{self, escape::escaped, table::Grid};

pub(super) async fn run(config: &Config, args: &DoctorArgs) -> anyhow::Result<Verdict> {
    let postgres = Postgres::open(&config.postgres)?;
    let redis = Redis::open(&config.redis)?;
    let relay_deadline = Duration::from_millis(args.relay_deadline_ms);
    let reachable = redis.ping().await;
    let stream = reachable.is_ok().then_some(&redis);
    if let Err(error) = &reachable {
        eprintln!(
            "warning: what concerns the stream is not checked: {}",
            escaped(&error.to_string())
        );
    }
    let findings = doctor::check(&postgres, stream, &config.bus, relay_deadline).await?;
    let ok = findings.iter().all(|finding| finding.violations == 0);
    match args.output {
        Format::Table => render::print(&text(&findings, ok))?,
        Format::Json => render::print_json(&json!({ "ok": ok, "findings": findings }))?,
    }
    redis.close().await;
    postgres.close();
    Ok(Verdict::from(ok))
}

fn text(findings: &[Finding], ok: bool) -> String {
    let mut grid = Grid::new(&["NO", "INVARIANT", "VIOLATIONS", "CHECKED"]);
    for finding in findings {
        let number = finding.invariant.to_string();
        grid.whole_row([
            number.as_str(),
            finding.title,
            &finding.violations.to_string(),
            &finding.checked,
        ]);
    }
    let samples = findings
        .iter()
        .filter(|finding| finding.violations > 0)
        .flat_map(|finding| {
            let number = finding.invariant;
            finding
                .samples
                .iter()
                .map(move |sample| format!("  invariant {number}: {}", escaped(sample)))
        });
    let samples: Vec<String> = samples.collect();
    let verdict = if ok {
        "every invariant holds".to_owned()
    } else {
        format!("violated:\n{}", samples.join("\n"))
    };
    format!("{}\n\n{verdict}", grid.finish())
}

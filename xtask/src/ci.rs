//! `cargo xtask ci`: every check that a change must pass, cheapest first, up to the first failure.
//!
//! The steps run in one target directory: the one in `CARGO_TARGET_DIR`, else the clone's own. Tests are not among
//! them; `cargo xtask test` brings up the servers they need.

mod steps;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use steps::{STEPS, Step};

/// Arguments of `cargo xtask ci`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Run only these steps, named as in the summary.
    #[arg(long, value_name = "STEP", num_args = 1..)]
    only: Vec<String>,
}

/// Runs the steps and prints a summary; the error names the step that failed.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let steps = select(&args.only)?;
    let mut summary = Summary::default();
    for (index, step) in steps.iter().enumerate() {
        println!("\n== {}/{} {}: {}", index + 1, steps.len(), step.name, step.does);
        let start = Instant::now();
        let result = (step.run)();
        let took = start.elapsed();
        match result {
            Ok(outcome) => {
                println!("-- {}: {outcome} ({})", step.name, seconds(took));
                summary.rows.push(Row {
                    name: step.name,
                    result: outcome.to_string(),
                    took,
                });
            }
            Err(error) => {
                println!("-- {}: FAILED ({})\n{error:#}", step.name, seconds(took));
                summary.rows.push(Row {
                    name: step.name,
                    result: "FAILED".to_owned(),
                    took,
                });
                summary.left = steps[index + 1..].iter().map(|step| step.name).collect();
                println!("\n{summary}");
                bail!(
                    "the step `{}` failed; repeat it alone with `cargo xtask ci --only {0}`",
                    step.name
                );
            }
        }
    }
    println!("\n{summary}");
    Ok(())
}

fn select(only: &[String]) -> anyhow::Result<Vec<&'static Step>> {
    if only.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    only.iter()
        .map(|name| {
            STEPS.iter().find(|step| step.name == name).with_context(|| {
                let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
                format!("there is no step `{name}`; the steps are {}", names.join(", "))
            })
        })
        .collect()
}

/// What ran, how it ended and how long it took.
#[derive(Debug, Default)]
struct Summary {
    rows: Vec<Row>,
    /// The steps behind a failure.
    left: Vec<&'static str>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    result: String,
    took: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.rows.iter().map(|row| row.took).sum();
        writeln!(f, "== summary ({})", seconds(total))?;
        for Row { name, result, took } in &self.rows {
            writeln!(f, "  {name:<10} {:>8}  {result}", seconds(*took))?;
        }
        for name in &self.left {
            writeln!(f, "  {name:<10} {:>8}  not run", "")?;
        }
        Ok(())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_summary_shows_what_ran_and_what_did_not() {
        let summary = Summary {
            rows: vec![
                Row {
                    name: "format",
                    result: "passed".into(),
                    took: Duration::from_millis(1200),
                },
                Row {
                    name: "clippy",
                    result: "FAILED".into(),
                    took: Duration::from_millis(61_040),
                },
            ],
            left: vec!["docs"],
        };
        insta::assert_snapshot!(summary, @r"
        == summary (62.2 s)
          format        1.2 s  passed
          clippy       61.0 s  FAILED
          docs                 not run
        ");
    }

    #[test]
    fn an_unknown_step_is_answered_with_the_known_ones() {
        let error = select(&["formt".to_owned()]).unwrap_err().to_string();
        assert!(
            error.contains("there is no step `formt`; the steps are format, "),
            "{error}"
        );
        let names: Vec<&str> = select(&["prose".to_owned(), "layers".to_owned()])
            .unwrap()
            .iter()
            .map(|step| step.name)
            .collect();
        assert_eq!(names, ["prose", "layers"]);
    }
}

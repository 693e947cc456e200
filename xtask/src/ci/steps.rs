//! The steps of the gate, in order: what each is called, what it does, and how it runs.

use std::fmt;

use std::process::Stdio;

use anyhow::{Context, bail};

use crate::workspace::cargo;
use crate::{compose, generate, layers, prose, tenancy};

/// One check.
#[derive(Debug)]
pub(super) struct Step {
    /// One word, as `--only` takes it.
    pub(super) name: &'static str,
    /// What the step does, for its headline.
    pub(super) does: &'static str,
    pub(super) run: fn() -> anyhow::Result<Outcome>,
}

/// How a step ended without failing.
#[derive(Debug)]
pub(super) enum Outcome {
    Passed,
    /// Passed, with a fact worth a line.
    Found(String),
    /// Could not run here, and why that is no failure.
    LeftOut(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Found(fact) => write!(f, "passed, {fact}"),
            Self::LeftOut(reason) => write!(f, "left out, {reason}"),
        }
    }
}

/// Every step. What takes seconds comes before what takes minutes.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "format",
        does: "cargo fmt",
        run: || passed(run_cargo(&["fmt", "--all", "--check"], &[]).context("run `cargo fmt --all`")),
    },
    Step {
        name: "layers",
        does: "dependencies between crates run one way",
        run: || layers::check().map(Outcome::Found),
    },
    Step {
        name: "prose",
        does: "file headers, sizes, names and links",
        run: || prose::check().map(Outcome::Found),
    },
    Step {
        name: "tenancy",
        does: "every statement says of which tenant",
        run: || tenancy::check().map(Outcome::Found),
    },
    Step {
        name: "generated",
        does: ".env.example and the environment reference are current",
        run: || passed(generate::check()),
    },
    Step {
        name: "compose",
        does: "the compose file is complete",
        run: || compose::check(None).map(Outcome::Found),
    },
    Step {
        name: "clippy",
        does: "cargo clippy, every target, warnings are errors",
        run: || {
            passed(run_cargo(
                &[
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--locked",
                    "--",
                    "-D",
                    "warnings",
                ],
                &[],
            ))
        },
    },
    Step {
        name: "docs",
        does: "cargo doc, warnings are errors",
        run: || {
            passed(run_cargo(
                &["doc", "--workspace", "--no-deps", "--locked"],
                &[("RUSTDOCFLAGS", "-D warnings")],
            ))
        },
    },
    Step {
        name: "deny",
        does: "licences, sources and advisories of the dependencies",
        run: deny,
    },
];

fn passed(result: anyhow::Result<()>) -> anyhow::Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

/// Runs cargo with its output on the terminal.
fn run_cargo(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let line = format!("cargo {}", arguments.join(" "));
    let mut command = cargo();
    command.args(arguments).envs(environment.iter().copied());
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

fn deny() -> anyhow::Result<Outcome> {
    let mut probe = cargo();
    probe
        .args(["deny", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        return Ok(Outcome::LeftOut(
            "cargo-deny is not installed (`cargo install --locked cargo-deny`)",
        ));
    }
    passed(run_cargo(&["deny", "check"], &[]))
}

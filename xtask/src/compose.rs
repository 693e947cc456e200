//! `cargo xtask validate-compose`: the compose file describes the services that Studio Brain needs, completely.
//!
//! Three steps: read the YAML and interpolate variables as Docker Compose does ([`document`]), judge the result
//! ([`rules`]), and, where a Docker engine answers, ask `docker compose config` too ([`engine`]). The first two need
//! no Docker. Every problem is reported at once, with its service and field.

mod document;
mod engine;
mod interpolate;
mod rules;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use brain_config::Sources;

use crate::workspace::root;
use document::Document;

/// Arguments of `cargo xtask validate-compose`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// The compose file to check instead of compose/compose.yaml.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

/// Checks the compose file and prints what it found.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    println!("{}", check(args.file.as_deref())?);
    Ok(())
}

/// Checks `file`, or the project's own compose file; the answer is one line for the report.
pub(crate) fn check(file: Option<&Path>) -> anyhow::Result<String> {
    let root = root();
    let file = file.map_or_else(|| root.join("compose/compose.yaml"), Path::to_path_buf);
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let dotenv = dotenv(&root.join(".env"))?;
    // As Docker Compose with `--env-file .env`: the environment wins.
    let variable = |name: &str| std::env::var(name).ok().or_else(|| dotenv.get(name).cloned());

    let problems = validate(&text, &variable);
    if !problems.is_empty() {
        let list: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
        bail!(
            "{} has {} problems:\n{}",
            file.display(),
            problems.len(),
            list.join("\n")
        );
    }
    let engine = engine::check(&file)?;
    Ok(format!("{} are complete; {engine}", rules::REQUIRED.join(", ")))
}

/// The variables of a `.env` file; a file that does not exist has none.
fn dotenv(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Sources::default().with_dotenv_text(".env", &text).dotenv),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Everything that is wrong with a compose file, given how variables resolve.
fn validate(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Vec<Problem> {
    match Document::parse(text, variable) {
        Ok((document, mut problems)) => {
            problems.extend(rules::problems(&document));
            problems
        }
        Err(problem) => vec![problem],
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    /// The dotted path of the field, such as `services.redis.image`.
    place: String,
    message: String,
}

impl Problem {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

#[cfg(test)]
mod tests;

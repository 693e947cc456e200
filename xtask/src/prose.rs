//! `cargo xtask prose`: what every tracked file must look like, whatever it is about.
//!
//! - A Rust file opens with `//!` and holds no macro that stands for missing code.
//! - No source file has more than 500 lines, and no file has a name that says nothing.
//! - Nothing mentions a home directory, a work directory or a package index by its host name ([`local`]).
//! - Links between Markdown files lead somewhere ([`links`]).
//!
//! The rules are pure over (path, text); listing and reading the files is a separate step.

mod links;
mod local;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::workspace::root;

/// Arguments of `cargo xtask prose`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {}

/// Checks the files of this repository and prints what it found.
pub(crate) fn run(_args: Args) -> anyhow::Result<()> {
    println!("{}", check()?);
    Ok(())
}

/// Checks the files of this repository; the answer is one line for the report.
pub(crate) fn check() -> anyhow::Result<String> {
    let files = read_files(&root())?;
    let findings = findings(&files);
    if findings.is_empty() {
        return Ok(format!("{} files", files.len()));
    }
    let list: Vec<String> = findings.iter().map(|finding| format!("  {finding}")).collect();
    bail!("{} findings:\n{}", findings.len(), list.join("\n"))
}

/// The text of every file by its path from the top of the repository; files that are no UTF-8 have none.
pub(crate) type Files = BTreeMap<String, Option<String>>;

/// What git tracks or would track: a new file is checked before it is added.
pub(crate) fn read_files(root: &Path) -> anyhow::Result<Files> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("cannot run git; install it to run this check")?;
    if !output.status.success() {
        bail!(
            "`git ls-files` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let listing = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files = Files::new();
    for path in listing.split('\0').filter(|path| !path.is_empty()) {
        match std::fs::read(root.join(path)) {
            Ok(bytes) => files.insert(path.to_owned(), String::from_utf8(bytes).ok()),
            // Deleted in the work tree, not yet in the index.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
        };
    }
    Ok(files)
}

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    path: String,
    /// Counted from 1; `None` where the file as a whole is meant.
    line: Option<usize>,
    message: String,
}

impl Finding {
    fn file(path: &str, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            message: message.into(),
        }
    }

    /// `index` is counted from 0, as `enumerate` does.
    fn line(path: &str, index: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: Some(index + 1),
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// Every rule broken, file by file.
fn findings(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files {
        findings.extend(name(path));
        let Some(text) = text else { continue };
        findings.extend(size(path, text));
        if path.ends_with(".rs") {
            findings.extend(header(path, text));
            findings.extend(missing_code(path, text));
        }
        findings.extend(local::findings(path, text));
    }
    findings.extend(links::findings(files));
    findings
}

/// Names that tell a reader nothing about the content.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "misc", "manager"];

fn name(path: &str) -> Option<Finding> {
    let empty = path.split('/').find(|part| {
        let stem = part.split('.').next().unwrap_or(part);
        EMPTY_NAMES.contains(&stem)
    })?;
    Some(Finding::file(
        path,
        format!("`{empty}` says nothing; name it after what it holds"),
    ))
}

/// The most lines a source file may have.
const MOST_LINES: usize = 500;

fn size(path: &str, text: &str) -> Option<Finding> {
    let is_source = [".rs", ".sql", ".toml", ".yaml"]
        .iter()
        .any(|extension| path.ends_with(extension));
    let lines = text.lines().count();
    (is_source && lines > MOST_LINES).then(|| {
        Finding::file(
            path,
            format!("has {lines} lines, more than {MOST_LINES}; split it by noun"),
        )
    })
}

fn header(path: &str, text: &str) -> Option<Finding> {
    (!text.starts_with("//!")).then(|| Finding::file(path, "must open with `//!` and the file's one responsibility"))
}

fn missing_code(path: &str, text: &str) -> Vec<Finding> {
    // Put together here, so that this file passes its own check.
    let macros = ["todo", "unimplemented"].map(|name| format!("{name}!"));
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(index, line)| {
            macros
                .iter()
                .filter(|name| line.contains(*name))
                .map(move |name| (index, name))
        })
        .map(|(index, name)| Finding::line(path, index, format!("`{name}` stands for missing code; write the code")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(files: &[(&str, &str)]) -> String {
        let files: Files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned())))
            .collect();
        findings(&files)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn a_file_that_keeps_the_rules_has_no_findings() {
        assert_eq!(
            report(&[
                ("crates/a/src/tasks.rs", "//! Tasks.\n"),
                ("migrations/001_a.sql", "SELECT 1;\n")
            ]),
            ""
        );
    }

    #[test]
    fn a_rust_file_opens_with_its_responsibility() {
        insta::assert_snapshot!(
            report(&[("a.rs", "use std::fmt;\n"), ("b.rs", ""), ("c.rs", "\n//! Late.\n"), ("d.sql", "SELECT 1;\n")]),
            @r"
        a.rs: must open with `//!` and the file's one responsibility
        b.rs: must open with `//!` and the file's one responsibility
        c.rs: must open with `//!` and the file's one responsibility
        "
        );
    }

    #[test]
    fn five_hundred_lines_are_the_most() {
        let full = format!("//! Long.\n{}", "\n".repeat(499));
        assert_eq!(report(&[("a.rs", &full)]), "");
        insta::assert_snapshot!(
            report(&[("a.rs", &format!("{full}\n")), ("Cargo.lock", &"\n".repeat(900))]),
            @"a.rs: has 501 lines, more than 500; split it by noun"
        );
    }

    #[test]
    fn names_that_say_nothing_are_refused() {
        insta::assert_snapshot!(
            report(&[("a/utils/x.txt", ""), ("a/helpers.sql", ""), ("a/task_manager.sql", ""), ("a/commons.sql", "")]),
            @r"
        a/helpers.sql: `helpers.sql` says nothing; name it after what it holds
        a/utils/x.txt: `utils` says nothing; name it after what it holds
        "
        );
    }

    #[test]
    fn macros_for_missing_code_are_refused() {
        let text = format!("//! A.\nfn a() {{\n    {}!()\n}}\n", "todo");
        let expected = format!("a.rs:3: `{}!` stands for missing code; write the code", "todo");
        assert_eq!(report(&[("a.rs", &text)]), expected);
    }
}

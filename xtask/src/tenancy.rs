//! `cargo xtask tenancy`: no statement reads or writes the rows of all tenants by mistake.
//!
//! Every statement in `crates/*/src` that names a table with a `tenant_id` must keep to the [`rule`], be it a file under `sql/` or
//! a string in Rust code; which tables these are, the migrations say. Statements that are about all tenants are [`EXCEPTIONS`], each
//! with its reason, and one that is no longer needed is a finding too. What is put together at run time from pieces that make no sense
//! by themselves is not seen; every piece that names a table is looked at as if it were whole.
//!
//! The rule is pure over (path, text); listing and reading the files is a separate step.

mod exceptions;
mod literals;
mod rule;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;

use anyhow::bail;

use crate::prose::{Files, read_files};
use crate::workspace::root;

use exceptions::{EXCEPTIONS, Exception};
use tokens::Token;

/// Arguments of `cargo xtask tenancy`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {}

/// Checks the statements of this repository and prints what it found.
pub(crate) fn run(_args: Args) -> anyhow::Result<()> {
    println!("{}", check()?);
    Ok(())
}

/// Checks the statements of this repository; the answer is one line for the report.
pub(crate) fn check() -> anyhow::Result<String> {
    let files = read_files(&root())?;
    let tables = tables(&files);
    let statements = statements(&files, &tables);
    let findings = findings(&statements, &tables, EXCEPTIONS);
    if findings.is_empty() {
        return Ok(format!("{} statements over {} tables", statements.len(), tables.len()));
    }
    let list: Vec<String> = findings.iter().map(|finding| format!("  {finding}")).collect();
    bail!("{} findings:\n{}", findings.len(), list.join("\n"))
}

/// A statement that names a table of tenants.
struct Statement<'a> {
    path: &'a str,
    /// The line of the file on which it begins, counted from 1.
    line: usize,
    tokens: Vec<Token>,
}

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Unbound { path: String, line: usize, table: String },
    Needless { path: &'static str, table: &'static str },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbound { path, line, table } => write!(
                f,
                "{path}:{line}: {table} without its tenant: compare or insert tenant_id (xtask/src/tenancy/rule.rs says how)"
            ),
            Self::Needless { path, table } => write!(
                f,
                "xtask/src/tenancy/exceptions.rs: {table} in {path} needs no exception any more; remove it"
            ),
        }
    }
}

/// The tables that have a tenant, by the migrations.
fn tables(files: &Files) -> BTreeSet<String> {
    let migrations = files
        .iter()
        .filter(|(path, _)| path.starts_with("migrations/") && path.ends_with(".sql"));
    migrations
        .filter_map(|(_, text)| text.as_deref())
        .flat_map(|sql| rule::tenant_tables(&tokens::read(sql)))
        .collect()
}

/// Every statement of the product that names one of the tables.
fn statements<'a>(files: &'a Files, tables: &BTreeSet<String>) -> Vec<Statement<'a>> {
    let mut found = Vec::new();
    for (path, text) in files {
        let Some(text) = text else { continue };
        if !path.starts_with("crates/") || !path.contains("/src/") {
            continue;
        }
        let pieces = if path.ends_with(".sql") {
            vec![(1, text.clone())]
        } else if path.ends_with(".rs") {
            literals::of(text)
        } else {
            continue;
        };
        for (line, piece) in pieces {
            // Cheap, and true of most strings.
            if !tables.iter().any(|table| piece.contains(table.as_str())) {
                continue;
            }
            let tokens = tokens::read(&piece);
            if names(&tokens, &|word| tables.contains(word)) && names(&tokens, &is_sql) {
                found.push(Statement { path, line, tokens });
            }
        }
    }
    found
}

/// Whether a word belongs to SQL, so that a table next to it is not just spoken of.
fn is_sql(word: &str) -> bool {
    matches!(
        word,
        "select"
            | "from"
            | "join"
            | "insert"
            | "into"
            | "update"
            | "delete"
            | "merge"
            | "truncate"
            | "copy"
            | "alter"
            | "drop"
    )
}

fn names(tokens: &[Token], wanted: &impl Fn(&str) -> bool) -> bool {
    tokens.iter().any(|token| match &token.kind {
        tokens::Kind::Word(word) => wanted(word),
        tokens::Kind::Group(inside) => names(inside, wanted),
        _ => false,
    })
}

/// What breaks the rule and is no exception, and exceptions that nothing needs.
fn findings(statements: &[Statement<'_>], tables: &BTreeSet<String>, exceptions: &[Exception]) -> Vec<Finding> {
    let mut needed: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut findings = Vec::new();
    for statement in statements {
        for unbound in rule::unbound(&statement.tokens, tables) {
            let exception = exceptions
                .iter()
                .filter(|exception| exception.path == statement.path)
                .find_map(|exception| exception.tables.iter().find(|table| **table == unbound.table));
            match exception {
                Some(table) => _ = needed.insert((statement.path, table)),
                None => findings.push(Finding::Unbound {
                    path: statement.path.to_owned(),
                    line: statement.line + unbound.line - 1,
                    table: unbound.table,
                }),
            }
        }
    }
    for exception in exceptions {
        let needless = exception
            .tables
            .iter()
            .filter(|table| !needed.contains(&(exception.path, **table)));
        findings.extend(needless.map(|table| Finding::Needless {
            path: exception.path,
            table,
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const MIGRATION: &str =
        "CREATE TABLE tasks (tenant_id text NOT NULL, task_id text); CREATE TABLE IF NOT EXISTS runs (
        tenant_id text, run_id text); CREATE TABLE streams (name text); ALTER TABLE late ADD COLUMN tenant_id text;
        CREATE INDEX x ON streams (tenant_id)";

    fn files(product: &[(&str, &str)]) -> Files {
        let migration = ("migrations/001_a.sql", MIGRATION);
        let all = product.iter().chain([&migration]);
        all.map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned())))
            .collect()
    }

    fn judged(product: &[(&str, &str)], exceptions: &[Exception]) -> Vec<String> {
        let files = files(product);
        let tables = tables(&files);
        let statements = statements(&files, &tables);
        findings(&statements, &tables, exceptions)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// The tables that one statement leaves unbound.
    fn left_open(sql: &str) -> Vec<String> {
        let tables = tables(&files(&[]));
        let unbound = rule::unbound(&tokens::read(sql), &tables);
        unbound
            .into_iter()
            .map(|unbound| format!("{}:{}", unbound.table, unbound.line))
            .collect()
    }

    #[test]
    fn the_tables_are_those_that_the_migrations_give_a_tenant() {
        let tables: Vec<String> = tables(&files(&[])).into_iter().collect();
        assert_eq!(tables, ["late", "runs", "tasks"]);
    }

    #[test]
    fn a_tenant_that_is_compared_or_inserted_will_do() {
        for sql in [
            "SELECT 1 FROM streams",
            "SELECT * FROM tasks WHERE tenant_id = $1 AND (a OR b)",
            "SELECT * FROM tasks t WHERE t.tenant_id = ANY ($1::text[])",
            "SELECT * FROM tasks t WHERE (t.tenant_id || '') = ANY ($1)",
            "SELECT * FROM tasks t JOIN runs r ON r.tenant_id = t.tenant_id AND r.run_id = t.run_id WHERE t.tenant_id = $1",
            "SELECT * FROM runs r JOIN tasks t ON r.tenant_id = t.tenant_id LEFT JOIN late l ON l.tenant_id = t.tenant_id WHERE $1
             = 2 AND r.tenant_id = $1",
            "SELECT * FROM unnest($1::text[]) AS w(tenant_id) CROSS JOIN LATERAL (SELECT * FROM tasks WHERE tenant_id = w.tenant_id) t",
            "WITH a AS (SELECT tenant_id FROM tasks WHERE tenant_id = $1) SELECT 1 FROM a JOIN runs r ON r.tenant_id = a.tenant_id",
            "SELECT * FROM tasks t WHERE t.a IS DISTINCT FROM t.b AND t.tenant_id = $1",
            "UPDATE tasks AS t SET a = 1 FROM x WHERE t.tenant_id = x.tenant_id",
            "DELETE FROM tasks USING x WHERE tasks.tenant_id = $1",
            "INSERT INTO tasks AS t (tenant_id, a) VALUES ($1, $2) ON CONFLICT (a) DO UPDATE SET a = tasks.a",
            ") t JOIN LATERAL (SELECT 1 FROM tasks WHERE tenant_id = t.tenant_id) k ON true",
            "SELECT (SELECT 1 FROM tasks o WHERE o.tenant_id = r.tenant_id) FROM runs r WHERE r.tenant_id = $1",
        ] {
            assert_eq!(left_open(sql), Vec::<String>::new(), "{sql}");
        }
    }

    #[test]
    fn a_tenant_that_is_forgotten_is_found_at_its_line() {
        for (sql, open) in [
            ("SELECT *\nFROM tasks\nWHERE task_id = $1", "tasks:2"),
            ("SELECT tenant_id FROM tasks ORDER BY tenant_id", "tasks:1"),
            ("SELECT tenant_id = $1 FROM tasks", "tasks:1"),
            ("SELECT * FROM tasks WHERE tenant_id = 'default'", "tasks:1"),
            ("SELECT * FROM tasks WHERE tenant_id <> $1", "tasks:1"),
            ("SELECT * FROM tasks WHERE tenant_id = tenant_id", "tasks:1"),
            ("SELECT * FROM tasks t WHERE t.tenant_id = t.tenant_id", "tasks:1"),
            ("SELECT * FROM tasks WHERE tenant_id = $1 OR a", "tasks:1"),
            (
                "SELECT * FROM tasks WHERE a AND (tenant_id = $1 OR $1 IS NULL)",
                "tasks:1",
            ),
            ("SELECT * FROM tasks WHERE ((tenant_id = $1) AND a) OR b", "tasks:1"),
            ("SELECT * FROM tasks WHERE NOT (tenant_id = $1)", "tasks:1"),
            ("SELECT * FROM tasks WHERE NOT tenant_id = $1", "tasks:1"),
            ("SELECT count(*) FILTER (WHERE tenant_id = $1) FROM tasks", ""),
            (
                "SELECT * FROM tasks t JOIN runs r ON r.tenant_id = t.tenant_id",
                "tasks:1 runs:1",
            ),
            (
                "SELECT * FROM tasks t JOIN runs r ON r.run_id = t.run_id WHERE t.tenant_id = $1",
                "runs:1",
            ),
            (
                "SELECT * FROM tasks t LEFT JOIN runs r ON r.tenant_id = t.tenant_id AND t.tenant_id = $1",
                "tasks:1 runs:1",
            ),
            (
                "SELECT * FROM tasks t FULL JOIN runs r ON r.tenant_id = $1 WHERE t.tenant_id = $1",
                "runs:1",
            ),
            (
                "SELECT * FROM tasks t WHERE t.tenant_id = $1 UNION ALL SELECT * FROM tasks",
                "tasks:1",
            ),
            (
                "SELECT * FROM x WHERE EXISTS (SELECT 1 FROM tasks WHERE a = x.a) AND x.tenant_id = $1",
                "tasks:1",
            ),
            ("SELECT * FROM (tasks) WHERE a", "tasks:1"),
            ("SELECT * FROM x, public.tasks", "tasks:1"),
            ("UPDATE tasks SET tenant_id = $1", "tasks:1"),
            ("DELETE FROM tasks WHERE task_id = ANY ($1)", "tasks:1"),
            ("INSERT INTO tasks (task_id) SELECT tenant_id FROM x", "tasks:1"),
            ("INSERT INTO tasks SELECT $1 AS tenant_id", "tasks:1"),
            ("INSERT INTO tasks (tenant_id) SELECT tenant_id FROM runs", "runs:1"),
            ("TRUNCATE tasks", "tasks:1"),
        ] {
            assert_eq!(left_open(sql).join(" "), open, "{sql}");
        }
    }

    #[test]
    fn statements_are_files_and_strings_of_the_product() {
        let bad = "SELECT 1 FROM tasks";
        let code = "// SELECT 1 FROM tasks\nfn f() -> &'static str {\n    \"tasks\";\n    \"SELECT 1 \\\n     FROM tasks\"\n}\n";
        let found = judged(
            &[
                ("crates/a/src/sql/bad.sql", bad),
                ("crates/a/src/code.rs", code),
                ("crates/a/tests/it/main.rs", "\"SELECT 1 FROM tasks\""),
                ("xtask/src/bench.rs", "\"SELECT 1 FROM tasks\""),
                ("crates/a/src/a.md", bad),
            ],
            &[],
        );
        insta::assert_snapshot!(found.join("\n"), @r"
        crates/a/src/code.rs:5: tasks without its tenant: compare or insert tenant_id (xtask/src/tenancy/rule.rs says how)
        crates/a/src/sql/bad.sql:1: tasks without its tenant: compare or insert tenant_id (xtask/src/tenancy/rule.rs says how)
        ");
    }

    #[test]
    fn an_exception_is_for_a_table_of_a_file_and_must_be_needed() {
        let exceptions = [Exception {
            path: "crates/a/src/sql/sweep.sql",
            tables: &["tasks", "runs"],
            reason: "it sweeps",
        }];
        let sweep = |sql| judged(&[("crates/a/src/sql/sweep.sql", sql)], &exceptions);
        assert_eq!(sweep("SELECT 1 FROM tasks, runs"), Vec::<String>::new());
        insta::assert_snapshot!(sweep("SELECT 1 FROM tasks, late").join("\n"), @r"
        crates/a/src/sql/sweep.sql:1: late without its tenant: compare or insert tenant_id (xtask/src/tenancy/rule.rs says how)
        xtask/src/tenancy/exceptions.rs: runs in crates/a/src/sql/sweep.sql needs no exception any more; remove it
        ");
    }

    #[test]
    fn every_exception_of_ours_says_why_and_the_product_passes() {
        for Exception { path, tables, reason } in EXCEPTIONS {
            assert!(reason.len() > 20 && !tables.is_empty(), "{path}");
        }
        check().unwrap();
    }
}

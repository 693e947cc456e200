//! `brain migrate`: applies pending migrations, or says where the database stands.

use anyhow::Context as _;
use brain_config::Config;
use brain_connectivity::{
    migrations::{Applied, Migrations, State, Status},
    postgres::Postgres,
};
use brain_swarm::audit;
use serde_json::{Value, json};

use crate::cli::{Format, MigrateAction, MigrateArgs};
use crate::exit::Verdict;
use crate::render::{self, quantity::moment, table::Grid};

pub(super) async fn run(config: &Config, args: &MigrateArgs) -> anyhow::Result<Verdict> {
    let postgres = Postgres::open(&config.postgres)?;
    let migrations = Migrations::embedded();
    let verdict = match args.action.unwrap_or(MigrateAction::Up) {
        MigrateAction::Up => {
            let applied = migrations.up(&postgres).await?;
            audit::record_migrations(&postgres)
                .await
                .context("the migrations are applied, but could not be recorded in the audit trail")?;
            match args.output {
                Format::Table => render::print(&applied_text(&applied, migrations.files().len()))?,
                Format::Json => render::print_json(&applied.iter().map(applied_json).collect::<Vec<_>>())?,
            }
            Verdict::Ok
        }
        MigrateAction::Status => {
            let status = migrations.status(&postgres).await?;
            match args.output {
                Format::Table => render::print(&status_text(&status))?,
                Format::Json => render::print_json(&status_json(&status))?,
            }
            Verdict::from(status.problems().is_empty())
        }
    };
    postgres.close();
    Ok(verdict)
}

fn applied_text(applied: &[Applied], known: usize) -> String {
    if applied.is_empty() {
        return format!("nothing to do: all {known} migrations are applied");
    }
    let mut grid = Grid::new(&["MIGRATION", "APPLIED", "TOOK"]);
    for migration in applied {
        grid.whole_row([
            migration.file_name(),
            moment(migration.applied_at),
            format!("{} ms", migration.duration_ms),
        ]);
    }
    grid.finish()
}

fn status_text(status: &Status) -> String {
    let mut grid = Grid::new(&["MIGRATION", "STATE", "APPLIED", "TOOK"]);
    for migration in &status.migrations {
        let (at, took) = match migration.state {
            State::Applied { at, duration_ms } => (moment(at), format!("{duration_ms} ms")),
            _ => (String::new(), String::new()),
        };
        grid.whole_row([migration.file_name.clone(), migration.state.to_string(), at, took]);
    }
    let problems = status.problems();
    let verdict = if problems.is_empty() {
        "ok: every table, column and constraint that this version needs is there".to_owned()
    } else {
        let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
        format!("not ok:\n{}", lines.join("\n"))
    };
    format!("{}\n\n{verdict}", grid.finish())
}

fn applied_json(applied: &Applied) -> Value {
    json!({
        "version": applied.version,
        "fileName": applied.file_name(),
        "checksum": applied.checksum,
        "appliedAt": applied.applied_at,
        "durationMs": applied.duration_ms,
    })
}

fn status_json(status: &Status) -> Value {
    let migrations: Vec<Value> = status
        .migrations
        .iter()
        .map(|migration| {
            let mut shown = json!({
                "version": migration.version,
                "fileName": migration.file_name,
                "state": migration.state.to_string(),
            });
            if let State::Applied { at, duration_ms } = migration.state {
                shown["appliedAt"] = json!(at);
                shown["durationMs"] = json!(duration_ms);
            }
            shown
        })
        .collect();
    let problems = status.problems();
    json!({ "ok": problems.is_empty(), "migrations": migrations, "problems": problems })
}

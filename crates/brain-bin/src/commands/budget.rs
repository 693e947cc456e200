//! `brain budget`: makes, lists, shows, raises and stops budgets.

use brain_config::Config;
use serde_json::Value;

use super::listing::{self, Column, ago, moment, text};
use super::steering::{self, Body};
use crate::cli::BudgetCommand;
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::table::fields;

const BUDGETS: [&str; 3] = ["api", "swarm", "budgets"];

const COLUMNS: [Column; 8] = [
    ("BUDGET", |budget| text(budget, "budgetId")),
    ("STATE", |budget| text(budget, "state")),
    ("UNIT", |budget| text(budget, "unit")),
    ("MAX", |budget| text(budget, "maxUnits")),
    ("RESERVED", |budget| text(budget, "reserved")),
    ("SPENT", |budget| text(budget, "spent")),
    ("AVAILABLE", |budget| text(budget, "available")),
    ("UPDATED", |budget| ago(budget, "updatedAt")),
];

pub(super) async fn run(config: &Config, command: BudgetCommand) -> anyhow::Result<Verdict> {
    match command {
        BudgetCommand::List {
            swarm,
            state,
            list,
            server,
        } => {
            let client = Client::new(config, &server)?;
            let query = listing::query(&[("swarmId", &swarm), ("state", &state)]);
            let (budgets, more) = client.list(&BUDGETS, "budgets", &query, list.limit).await?;
            listing::print(list.output, "budgets", &budgets, more, &COLUMNS)?;
        }
        BudgetCommand::Show { budget, show } => steering::show(config, &path(&budget, None), &show, shown).await?,
        BudgetCommand::Create {
            max_units,
            unit,
            id,
            change,
        } => {
            let body = Body::by(&change)
                .with("budgetId", id)
                .with("maxUnits", Some(max_units))
                .with("unit", unit);
            steering::change(config, &BUDGETS, &change.show, body, shown).await?;
        }
        BudgetCommand::Raise {
            budget,
            max_units,
            reason,
            change,
        } => {
            let body = Body::by(&change)
                .with("maxUnits", Some(max_units))
                .with("reason", reason);
            steering::change(config, &path(&budget, Some("raise")), &change.show, body, shown).await?;
        }
        BudgetCommand::Stop { budget, reason, change } => {
            let body = Body::by(&change).with("reason", reason);
            steering::change(config, &path(&budget, Some("stop")), &change.show, body, shown).await?;
        }
    }
    Ok(Verdict::Ok)
}

fn path<'a>(budget: &'a str, action: Option<&'a str>) -> Vec<&'a str> {
    BUDGETS.into_iter().chain([budget]).chain(action).collect()
}

fn shown(budget: &Value) -> String {
    fields([
        ("budget", text(budget, "budgetId")),
        ("swarm", text(budget, "swarmId")),
        ("state", text(budget, "state")),
        ("unit", text(budget, "unit")),
        ("max", text(budget, "maxUnits")),
        ("reserved", text(budget, "reserved")),
        ("spent", text(budget, "spent")),
        ("available", text(budget, "available")),
        ("created", moment(budget, "createdAt")),
        ("updated", moment(budget, "updatedAt")),
    ])
}

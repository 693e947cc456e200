//! `brain schedule`: stores, lists, shows and removes schedules.

use std::path::Path;

use anyhow::{Context as _, bail};
use brain_config::Config;
use reqwest::Method;
use serde_json::{Value, json};

use super::listing::{self, Column, moment, pretty, text};
use crate::cli::{Format, ScheduleCommand, SchedulePutArgs};
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::{self, escape::escaped, table::fields};

const SCHEDULES: [&str; 3] = ["api", "swarm", "schedules"];

const COLUMNS: [Column; 6] = [
    ("SCHEDULE", |schedule| text(schedule, "scheduleId")),
    ("CRON", |schedule| text(schedule, "cron")),
    ("TIME ZONE", |schedule| text(schedule, "timeZone")),
    ("MISSED", |schedule| text(schedule, "missedRuns")),
    ("NEXT", next),
    ("LAST TASK", |schedule| text(schedule, "lastTaskId")),
];

pub(super) async fn run(config: &Config, command: ScheduleCommand) -> anyhow::Result<Verdict> {
    match command {
        ScheduleCommand::List { swarm, list, server } => {
            let client = Client::new(config, &server)?;
            let query = listing::query(&[("swarmId", &swarm)]);
            let (schedules, more) = client.list(&SCHEDULES, "schedules", &query, list.limit).await?;
            listing::print(list.output, "schedules", &schedules, more, &COLUMNS)?;
        }
        ScheduleCommand::Show {
            schedule,
            swarm,
            output,
            server,
        } => {
            let client = Client::new(config, &server)?;
            let query = listing::query(&[("swarmId", &swarm)]);
            print(&client.get(&path(&schedule), &query).await?, output)?;
        }
        ScheduleCommand::Put(args) => {
            let body = serde_json::to_vec(&body(&args)?)?;
            let client = Client::new(config, &args.server)?;
            let query = listing::query(&[("swarmId", &args.swarm)]);
            let stored = client
                .change(Method::PUT, &path(&args.schedule), &query, Some(body))
                .await?;
            print(&stored, args.output)?;
        }
        ScheduleCommand::Delete {
            schedule,
            swarm,
            server,
        } => {
            let client = Client::new(config, &server)?;
            let query = listing::query(&[("swarmId", &swarm)]);
            client.change(Method::DELETE, &path(&schedule), &query, None).await?;
            render::print(&format!("deleted {}", escaped(&schedule)))?;
        }
    }
    Ok(Verdict::Ok)
}

fn path(schedule: &str) -> Vec<&str> {
    [&SCHEDULES[..], &[schedule]].concat()
}

/// What the options say; what they leave out is for the server to choose.
fn body(args: &SchedulePutArgs) -> anyhow::Result<Value> {
    let (task, from) = match &args.file {
        Some(file) => (read(file)?, file.display().to_string()),
        None => (args.task.clone(), "--task".to_owned()),
    };
    let task: Value = serde_json::from_str(&task).with_context(|| format!("{from} is not JSON"))?;
    if !task.is_object() {
        bail!("{from} must hold a JSON object, such as '{{\"inputs\":{{\"n\":1}}}}'");
    }
    let mut body = json!({
        "cron": args.cron,
        "task": task,
        "enabled": !args.disabled,
        "actorId": args.actor,
    });
    for (name, given) in [("timeZone", &args.time_zone), ("missedRuns", &args.missed_runs)] {
        if let Some(given) = given {
            body[name] = given.as_str().into();
        }
    }
    Ok(body)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let read = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin().lock()),
        false => std::fs::read_to_string(path),
    };
    read.with_context(|| format!("cannot read {}", path.display()))
}

fn print(schedule: &Value, output: Format) -> anyhow::Result<()> {
    match output {
        Format::Json => render::print_json(schedule),
        Format::Table => Ok(render::print(&shown(schedule))?),
    }
}

/// The planned time that comes next, or why there is none.
fn next(schedule: &Value) -> String {
    match schedule.get("enabled").and_then(Value::as_bool) {
        Some(false) => "disabled".to_owned(),
        _ => moment(schedule, "nextAt"),
    }
}

fn shown(schedule: &Value) -> String {
    let head = fields([
        ("schedule", text(schedule, "scheduleId")),
        ("swarm", text(schedule, "swarmId")),
        ("cron", text(schedule, "cron")),
        ("time zone", text(schedule, "timeZone")),
        ("missed runs", text(schedule, "missedRuns")),
        ("actor", text(schedule, "actorId")),
        ("next", next(schedule)),
        ("last fired", moment(schedule, "lastFiredAt")),
        ("last task", text(schedule, "lastTaskId")),
        ("updated", moment(schedule, "updatedAt")),
    ]);
    let task: Vec<String> = pretty(schedule, "task")
        .lines()
        .map(|line| format!("  {}", escaped(line)))
        .collect();
    format!("{head}\n\ntask:\n{}", task.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_shown_with_its_task() {
        let schedule = json!({"scheduleId": "nightly", "swarmId": "s", "cron": "30 2 * * *", "timeZone": "Europe/Berlin",
            "missedRuns": "once", "actorId": "me", "enabled": false, "updatedAt": "2026-01-01T00:00:00Z",
            "task": {"role": "writer"}});
        insta::assert_snapshot!(shown(&schedule), @r#"
        schedule     nightly
        swarm        s
        cron         30 2 * * *
        time zone    Europe/Berlin
        missed runs  once
        actor        me
        next         disabled
        updated      2026-01-01 00:00:00Z

        task:
          {
            "role": "writer"
          }
        "#);
        assert_eq!(next(&json!({"enabled": true})), "");
    }
}

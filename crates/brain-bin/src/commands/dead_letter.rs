//! `brain dead-letter`: inspects, replays and drops what could not be stored.

use std::path::Path;

use anyhow::Context as _;
use brain_config::Config;
use serde_json::Value;

use super::event::published;
use super::listing::{self, Column, ago, moment, text};
use crate::cli::{DeadLetterCommand, Format};
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::{self, escape::escaped, quantity::bytes, table::fields};

const DEAD_LETTERS: [&str; 3] = ["api", "swarm", "dead-letters"];

const COLUMNS: [Column; 6] = [
    ("DEAD LETTER", |letter| text(letter, "deadLetterId")),
    ("STATUS", |letter| text(letter, "status")),
    ("REASON", |letter| text(letter, "reason")),
    ("EVENT", |letter| text(letter, "eventId")),
    ("CREATED", |letter| ago(letter, "createdAt")),
    ("DETAIL", |letter| text(letter, "detail")),
];

pub(super) async fn run(config: &Config, command: DeadLetterCommand) -> anyhow::Result<Verdict> {
    match command {
        DeadLetterCommand::List {
            status,
            reason,
            list,
            server,
        } => {
            let client = Client::new(config, &server)?;
            let query = listing::query(&[("status", &status), ("reason", &reason)]);
            let (letters, more) = client.list(&DEAD_LETTERS, "deadLetters", &query, list.limit).await?;
            listing::print(list.output, "deadLetters", &letters, more, &COLUMNS)?;
        }
        DeadLetterCommand::Show { id, output, server } => {
            let letter = Client::new(config, &server)?.get(&path(&id, None), &[]).await?;
            match output {
                Format::Json => render::print_json(&letter)?,
                Format::Table => render::print(&shown(&letter))?,
            }
        }
        DeadLetterCommand::Replay {
            id,
            with,
            output,
            server,
        } => {
            let mended = with.as_deref().map(read).transpose()?;
            let answer = Client::new(config, &server)?
                .post(&path(&id, Some("replay")), mended)
                .await?;
            match output {
                Format::Json => render::print_json(&answer)?,
                Format::Table => render::print(&published(&listing::items(&answer, "events")))?,
            }
        }
        DeadLetterCommand::Drop { id, server } => {
            Client::new(config, &server)?.delete(&path(&id, None)).await?;
            render::print(&format!("dropped {}", escaped(&id)))?;
        }
    }
    Ok(Verdict::Ok)
}

fn path<'a>(id: &'a str, action: Option<&'a str>) -> Vec<&'a str> {
    DEAD_LETTERS.into_iter().chain([id]).chain(action).collect()
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map(drop),
        false => std::fs::read(path).map(|read| bytes = read),
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

fn shown(letter: &Value) -> String {
    let raw = text(letter, "raw");
    let head = fields([
        ("dead letter", text(letter, "deadLetterId")),
        ("status", text(letter, "status")),
        ("reason", text(letter, "reason")),
        ("detail", text(letter, "detail")),
        ("stream", text(letter, "streamName")),
        ("entry", text(letter, "entryId")),
        ("deliveries", text(letter, "deliveryCount")),
        ("swarm", text(letter, "swarmId")),
        ("event", text(letter, "eventId")),
        ("event type", text(letter, "eventType")),
        ("created", moment(letter, "createdAt")),
        ("resolved", moment(letter, "resolvedAt")),
    ]);
    let size = bytes(u64::try_from(raw.len()).unwrap_or(u64::MAX));
    let lines: Vec<String> = raw.lines().map(|line| format!("  {}", escaped(line))).collect();
    format!("{head}\n\nraw ({size}):\n{}", lines.join("\n"))
}

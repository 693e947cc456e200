//! `brain event publish`: sends events in batches and waits until each batch is stored.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use brain_config::Config;
use serde_json::{Value, json};

use super::EVENTS;
use super::input::{self, Event, Gaps};
use crate::cli::{ListFormat, PublishArgs};
use crate::client::{Client, Error};
use crate::commands::listing::{items, text};
use crate::exit::{Usage, Verdict};
use crate::render::{self, table::Grid};

/// Events of one request.
const BATCH_EVENTS: usize = 256;
/// Size above which a request takes no further event. Far below the server's default limit of a body.
const BATCH_BYTES: usize = 512 * 1024;
/// Attempts for one batch when the server is busy.
const ATTEMPTS: u32 = 6;
/// Events above which the table is replaced by a sum.
const TABLE_MAX: usize = 50;

pub(super) async fn run(config: &Config, args: &PublishArgs) -> anyhow::Result<Verdict> {
    let gaps = Gaps {
        swarm: args.swarm.clone(),
        run: args.run.clone(),
        actor: args.actor.clone(),
    };
    let client = Client::new(config, &args.server)?;
    let mut sender = Sender {
        client,
        output: args.output,
        batch: Vec::new(),
        bytes: 0,
        stored: Vec::new(),
    };
    let sent = match (&args.kind, &args.file) {
        (Some(kind), _) => {
            let event = input::single(kind, &args.payload, args.id.as_deref(), &gaps);
            sender.all(std::iter::once(event)).await
        }
        (None, Some(path)) => sender.all(input::stream(open(path)?, &gaps)).await,
        (None, None) => return Err(Usage("name --type or --file".to_owned()).into()),
    };
    let stored = sender.stored.len();
    sender.report()?;
    sent.with_context(|| match stored {
        0 => "nothing was stored".to_owned(),
        n => format!("the first {n} events are stored, the rest is not"),
    })?;
    Ok(Verdict::Ok)
}

fn open(path: &Path) -> anyhow::Result<Box<dyn std::io::Read>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdin()));
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

struct Sender {
    client: Client,
    output: ListFormat,
    batch: Vec<String>,
    bytes: usize,
    stored: Vec<Value>,
}

impl Sender {
    async fn all(&mut self, events: impl Iterator<Item = anyhow::Result<Event>>) -> anyhow::Result<()> {
        for event in events {
            let event = serde_json::to_string(&event?)?;
            if self.batch.len() >= BATCH_EVENTS || self.bytes + event.len() > BATCH_BYTES {
                self.send().await?;
            }
            self.bytes += event.len();
            self.batch.push(event);
        }
        self.send().await
    }

    /// Sends what is gathered. Every event has its id, so that sending again stores nothing twice.
    async fn send(&mut self) -> anyhow::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let body = format!("[{}]", self.batch.join(","));
        let mut attempt = 1;
        let answer = loop {
            let error = match self.client.post(&EVENTS, Some(body.clone().into_bytes())).await {
                Ok(answer) => break answer,
                Err(error) => error,
            };
            let Error::Busy { retry_after, .. } = &error else {
                return Err(error.into());
            };
            if attempt == ATTEMPTS {
                return Err(error.into());
            }
            let pause = retry_after.unwrap_or(Duration::from_millis(200) * 2_u32.pow(attempt));
            tokio::time::sleep(pause.min(Duration::from_secs(30))).await;
            attempt += 1;
        };
        self.batch.clear();
        self.bytes = 0;
        let stored = items(&answer, "events");
        if self.output == ListFormat::Jsonl {
            stored.iter().try_for_each(render::print_json_line)?;
        }
        self.stored.extend(stored);
        Ok(())
    }

    fn report(&self) -> anyhow::Result<()> {
        match self.output {
            ListFormat::Jsonl => Ok(()),
            ListFormat::Json => render::print_json(&json!({ "events": self.stored })),
            ListFormat::Table if self.stored.is_empty() => Ok(()),
            ListFormat::Table => Ok(render::print(&published(&self.stored))?),
        }
    }
}

/// What became of published events: a table, or a sum where there are many.
pub(in crate::commands) fn published(events: &[Value]) -> String {
    let is_duplicate = |event: &Value| event.get("duplicate").and_then(Value::as_bool).unwrap_or(false);
    if events.len() > TABLE_MAX {
        let duplicates = events.iter().filter(|event| is_duplicate(event)).count();
        let noted = events.iter().filter(|event| !text(event, "note").is_empty()).count();
        return format!(
            "{} events: {} stored now, {duplicates} stored before, {noted} without effect (--output json has each)",
            events.len(),
            events.len() - duplicates,
        );
    }
    let mut grid = Grid::new(&["EVENT", "SWARM", "SEQ", "STATE", "NOTE"]);
    for event in events {
        let state = if is_duplicate(event) { "stored before" } else { "stored" };
        grid.row([
            &text(event, "id"),
            &text(event, "swarmId"),
            &text(event, "seq"),
            state,
            &text(event, "note"),
        ]);
    }
    grid.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_events_are_listed_and_many_are_counted() {
        let event = |seq: i64, duplicate: bool| json!({"id": format!("e{seq}"), "swarmId": "s", "seq": seq, "duplicate": duplicate});
        insta::assert_snapshot!(published(&[event(1, false), event(2, true)]), @r"
        EVENT  SWARM  SEQ  STATE          NOTE
        e1     s      1    stored
        e2     s      2    stored before
        ");
        let many: Vec<Value> = (0..60).map(|seq| event(seq, seq < 10)).collect();
        assert!(published(&many).starts_with("60 events: 50 stored now, 10 stored before, 0 without effect"));
    }
}

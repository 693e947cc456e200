//! `brain event tail`: prints stored events in their order, once or for as long as it is not stopped.

use std::time::Duration;

use brain_config::Config;
use serde_json::{Value, json};

use super::EVENTS;
use crate::cli::{ListFormat, TailArgs};
use crate::client::{Client, Error, Page};
use crate::commands::listing::{self, text};
use crate::exit::{Usage, Verdict};
use crate::render::{
    self,
    escape::{escaped, shortened},
};

/// Events shown when no beginning is named.
const LAST: i64 = 20;
/// The largest page that the API gives.
const PAGE: u64 = 500;
/// How long the server waits for an event before it says that there is none. Less than this program waits for an answer.
const WAIT: Duration = Duration::from_secs(10);
/// Pause after a question that was not answered.
const OUTAGE_PAUSE: Duration = Duration::from_secs(1);
/// The longest payload on a line; `--output jsonl` has the whole.
const PAYLOAD_MAX: usize = 100;

pub(super) async fn run(config: &Config, args: &TailArgs) -> anyhow::Result<Verdict> {
    if args.follow && args.output == ListFormat::Json {
        return Err(Usage("--output json ends with its last event and cannot --follow; use jsonl".to_owned()).into());
    }
    let client = Client::new(config, &args.server)?;
    let filters = listing::query(&[("swarmId", &args.swarm), ("type", &args.kind)]);
    let first = match args.from {
        Some(seq) => seq - 1,
        None => newest(&client, &args.swarm).await? - LAST,
    };
    let first = first.max(0);
    let mut tail = Tail {
        client,
        filters,
        place: Place::After(first),
        newest: first,
        left: args.limit,
        wait: None,
        outage: false,
    };
    let mut all = Vec::new();
    let mut gaps = None;
    while tail.left != Some(0) {
        let (gap, events, more) = match tail.next().await {
            Err(error) if args.follow && error.retryable() => {
                tail.wait_out(&error).await;
                continue;
            }
            answered => answered?,
        };
        if let Some(gap) = gap {
            match args.output {
                ListFormat::Json => gaps = gaps.or(Some(gap)),
                ListFormat::Jsonl => render::print_json_line(&json!({ "gap": gap }))?,
                ListFormat::Table => render::print(&gap_line(&gap))?,
            }
        }
        match args.output {
            ListFormat::Json => all.extend(events),
            ListFormat::Jsonl => events.iter().try_for_each(render::print_json_line)?,
            ListFormat::Table => events.iter().try_for_each(|event| render::print(&line(event)))?,
        }
        if more {
            continue;
        }
        if !args.follow {
            break;
        }
        tail.wait = Some(WAIT);
    }
    if args.output == ListFormat::Json {
        let mut document = json!({ "events": all });
        if let (Some(gap), Some(fields)) = (gaps, document.as_object_mut()) {
            fields.insert("gap".to_owned(), gap);
        }
        render::print_json(&document)?;
    }
    Ok(Verdict::Ok)
}

/// The newest sequence number of the swarm.
async fn newest(client: &Client, swarm: &Option<String>) -> Result<i64, Error> {
    let mut query = listing::query(&[("swarmId", swarm)]);
    query.push(("limit", "1".to_owned()));
    let page = client.page(&EVENTS, "events", &query).await?;
    Ok(last_seq(&page.document))
}

fn last_seq(document: &Value) -> i64 {
    document.get("lastSeq").and_then(Value::as_i64).unwrap_or(0)
}

/// Where the next page begins.
enum Place {
    /// After this sequence number.
    After(i64),
    /// Where the server said that the last page ended.
    Cursor(String),
}

struct Tail {
    client: Client,
    filters: Vec<(&'static str, String)>,
    place: Place,
    /// Everything up to this sequence number was looked at.
    newest: i64,
    left: Option<u64>,
    /// How long to wait where nothing is new.
    wait: Option<Duration>,
    outage: bool,
}

impl Tail {
    /// What is missing before the next events, the events, and whether there are more at this moment.
    async fn next(&mut self) -> Result<(Option<Value>, Vec<Value>, bool), Error> {
        let mut query = self.filters.clone();
        query.push(("limit", self.left.unwrap_or(PAGE).min(PAGE).to_string()));
        query.push(match &self.place {
            Place::After(seq) => ("after", seq.to_string()),
            Place::Cursor(cursor) => ("cursor", cursor.clone()),
        });
        query.extend(self.wait.map(|wait| ("waitMs", wait.as_millis().to_string())));
        let Page { items, next, document } = self.client.page(&EVENTS, "events", &query).await?;
        self.outage = false;
        self.left = self.left.map(|left| left.saturating_sub(items.len() as u64));
        let more = next.is_some();
        match next {
            Some(cursor) => self.place = Place::Cursor(cursor),
            // Everything up to the newest event was looked at, whether it passed the filters or not.
            None => self.newest = self.newest.max(last_seq(&document)),
        }
        if !more {
            self.place = Place::After(self.newest);
        }
        let gap = document.get("gap").filter(|gap| gap.is_object()).cloned();
        Ok((gap, items, more))
    }

    /// Says once that the server is away, and waits a little.
    async fn wait_out(&mut self, error: &Error) {
        if !self.outage {
            eprintln!("waiting: {}", escaped(&error.to_string()));
        }
        self.outage = true;
        tokio::time::sleep(OUTAGE_PAUSE).await;
    }
}

/// What stands in the place of events that the brain no longer has.
fn gap_line(gap: &Value) -> String {
    let line = format!(
        "{:>7}  gap: events {} to {} are gone, they grew too old",
        "...",
        text(gap, "fromSeq"),
        text(gap, "toSeq")
    );
    escaped(&line).into_owned()
}

fn line(event: &Value) -> String {
    let at = text(event, "storedAt").parse::<jiff::Timestamp>();
    let at = at
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string())
        .unwrap_or_default();
    let note = match text(event, "note") {
        note if note.is_empty() => note,
        note => format!("  ({note})"),
    };
    let line = format!(
        "{:>7}  {at}  {:<15} {:<15} {}{note}",
        text(event, "seq"),
        text(event, "type"),
        text(event, "actorId"),
        shortened(&text(event, "payload"), PAYLOAD_MAX),
    );
    escaped(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_a_line_of_its_own() {
        insta::assert_snapshot!(gap_line(&json!({"fromSeq": 1, "toSeq": 980})), @"    ...  gap: events 1 to 980 are gone, they grew too old");
    }

    #[test]
    fn an_event_is_one_line_whatever_it_holds() {
        let event = json!({"seq": 41, "storedAt": "2026-01-02T03:04:05.6789Z", "type": "agent.message",
            "actorId": "a\u{1b}[2J", "payload": {"text": "two\nlines"}, "note": "the task is unknown"});
        insta::assert_snapshot!(line(&event), @r#"     41  2026-01-02 03:04:05.678Z  agent.message   a\u{1b}[2J           {"text":"two\nlines"}  (the task is unknown)"#);
    }
}

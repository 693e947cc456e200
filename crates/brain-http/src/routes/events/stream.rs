//! `/api/swarm/events/stream`: events as they are stored, as server-sent events (WHATWG HTML, section 9.2).
//!
//! Invariants: nothing is kept for a caller that does not read: what it has not taken is read from the database when it does; the
//! id of each message is the `seq` after which a reconnecting client goes on.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    response::Response,
};
use brain_swarm::{
    event::EventType,
    tails::{self, Followed, Follower, Selection},
};
use bytes::Bytes;
use futures_util::stream;
use metrics::Gauge;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Caller, gate::Credential, limits},
    app::App,
    exchange::Streaming,
    problem::{Kind, Problem},
    query::{Query, invalid},
    routes::swarm,
};

/// What a stream says when there is nothing to say. Shorter than the patience of proxies, which is often a minute or half of one.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// What is handed to the connection at once, in bytes, but for a larger event.
const CHUNK: usize = 16 * 1024;
/// How long a stream waits when the database is away.
const PAUSE: Duration = Duration::from_secs(1);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Which events a query is about.
pub(super) fn selection(app: &App, caller: &Caller, query: &Query<'_>) -> Result<Selection, Problem> {
    let kind: Option<EventType> = query.get("type")?;
    Ok(Selection {
        tenant_id: caller.tenant_id.clone(),
        swarm_id: swarm(app, query)?,
        run_id: query.get("runId")?,
        kind: kind.map(|kind| kind.as_str().to_owned()),
        actor_id: query.get("actorId")?,
    })
}

/// Follows the events of a swarm: after `Last-Event-ID`, else after `after`, else from now on.
pub(crate) async fn follow(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "runId", "type", "actorId", "after"])?;
    let selection = selection(&app, &caller, &query)?;
    // Both are read, so that a wrong one is not overlooked because of the other.
    let after = query.text("after").map(|after| seq("after", after)).transpose()?;
    let after = last_event_id(&headers)?.or(after);
    let sent = Sent {
        selection,
        after,
        render,
    };
    open(&app, &caller, Credential::of(&headers), sent).await
}

/// What a stream is to send.
pub(crate) struct Sent {
    pub(crate) selection: Selection,
    /// After this `seq`; from now on, where there is none.
    pub(crate) after: Option<i64>,
    /// Writes what is followed as a message.
    pub(crate) render: fn(&mut Vec<u8>, &Followed),
}

/// Begins a stream, for as long as the credential is good.
pub(crate) async fn open(
    app: &Arc<App>,
    caller: &Caller,
    credential: Credential,
    sent: Sent,
) -> Result<Response, Problem> {
    let permit = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        let detail = format!("{} event streams are open, and no more are served", App::MAX_STREAMS);
        Problem::new(Kind::Overloaded, detail)
    })?;
    let share = app.usage.stream(caller, Instant::now())?;
    let follower = app.services.tails.follow(sent.selection, sent.after).await?;
    let feed = Feed {
        state: Phase::Opening,
        follower,
        render: sent.render,
        draining: app.draining.clone(),
        credential,
        app: Arc::clone(app),
        _place: Place::taken(permit, share, app.metrics.event_streams.clone()),
    };
    let mut response = Response::new(Body::from_stream(stream::unfold(feed, Feed::chunk)));
    response.extensions_mut().insert(Streaming);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
    // nginx would keep the events until its buffer is full.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// After which event a reconnecting client goes on.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let last = headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or_default());
    last.map(|id| seq("Last-Event-ID", id)).transpose()
}

fn seq(name: &'static str, text: &str) -> Result<i64, Problem> {
    match text.parse() {
        Ok(seq @ 0..) => Ok(seq),
        _ => Err(invalid(name, "it must be a sequence number, 0 or more")),
    }
}

impl From<tails::Error> for Problem {
    fn from(error: tails::Error) -> Self {
        match error {
            tails::Error::Ahead { .. } => Self::new(Kind::InvalidParameter, error.to_string()),
            tails::Error::Database(error) => Self::from(&error),
        }
    }
}

/// What a caller is sent.
struct Feed {
    state: Phase,
    follower: Follower,
    render: fn(&mut Vec<u8>, &Followed),
    draining: CancellationToken,
    /// By what its caller was let in, and must still be.
    credential: Credential,
    app: Arc<App>,
    _place: Place,
}

/// The place of a stream among all.
struct Place {
    gauge: Gauge,
    _permit: OwnedSemaphorePermit,
    /// The one among those of its caller.
    _share: limits::Place,
}

impl Place {
    fn taken(permit: OwnedSemaphorePermit, share: limits::Place, gauge: Gauge) -> Self {
        gauge.increment(1);
        Self {
            gauge,
            _permit: permit,
            _share: share,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauge.decrement(1);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    Over,
}

#[derive(Serialize)]
struct End {
    reason: &'static str,
}

impl Feed {
    async fn chunk(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let text = match self.state {
            Phase::Over => return None,
            Phase::Opening => {
                self.state = Phase::Open;
                // Who goes away before the first event goes on from here.
                format!("retry: 1000\nid: {}\n\n", self.follower.reached()).into_bytes()
            }
            Phase::Open => self.next().await,
        };
        Some((Ok(Bytes::from(text)), self))
    }

    async fn next(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let first = tokio::select! {
            biased;
            () = self.draining.cancelled() => Ok(Ok(None)),
            next = tokio::time::timeout(HEARTBEAT, self.follower.next()) => next,
        };
        // A token that was revoked, or has expired meanwhile, is sent nothing more.
        if !self.app.gate.still_lets_in(&self.credential).await {
            self.end(&mut text, "the credential of this stream is good no more");
            return text;
        }
        match first {
            Err(_silence) => text.extend_from_slice(b":\n\n"),
            Ok(Ok(Some(first))) => {
                (self.render)(&mut text, &first);
                while text.len() < CHUNK
                    && let Some(next) = self.follower.next_now()
                {
                    (self.render)(&mut text, &next);
                }
            }
            Ok(Ok(None)) => {
                self.end(&mut text, "the server is stopping");
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "an event stream waits for the database");
                tokio::select! {
                    () = self.draining.cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
                text.extend_from_slice(b":\n\n");
            }
        }
        text
    }

    fn end(&mut self, text: &mut Vec<u8>, reason: &'static str) {
        self.state = Phase::Over;
        message(text, None, "end", &End { reason });
    }
}

fn render(text: &mut Vec<u8>, followed: &Followed) {
    match followed {
        Followed::Event(event) => message(text, Some(event.seq), &event.kind, &**event),
        Followed::Gap(gap) => message(text, Some(gap.to_seq), "gap", gap),
    }
}

/// JSON has no line breaks, and the type of an event has none either.
fn message(text: &mut Vec<u8>, id: Option<i64>, kind: &str, data: &impl Serialize) {
    if let Some(id) = id {
        text.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(kind.as_bytes());
    text.extend_from_slice(b"\ndata: ");
    // It was read from JSON.
    let _ = serde_json::to_writer(&mut *text, data);
    text.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use brain_swarm::events::Gap;

    use super::*;

    #[test]
    fn a_gap_is_a_message_after_which_one_goes_on() {
        let mut text = Vec::new();
        let gap = Gap { from_seq: 1, to_seq: 7 };
        render(&mut text, &Followed::Gap(gap));
        let expected = "id: 7\nevent: gap\ndata: {\"fromSeq\":1,\"toSeq\":7}\n\n";
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }

    #[test]
    fn a_sequence_number_is_not_negative() {
        assert_eq!(seq("after", "0").ok(), Some(0));
        for wrong in ["-1", "", "x", "1.5", "99999999999999999999"] {
            assert!(seq("after", wrong).is_err(), "{wrong}");
        }
    }
}

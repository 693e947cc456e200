//! What skills speak: JSON-RPC 2.0 with `healthcheck` and `execute`, and the notices `progress`, `log` and `cancel`.
//!
//! Invariants: the payload goes as it is and nothing else goes with it but the command and the time that is left; a skill that
//! knows no `healthcheck` is as healthy as it is running.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Call,
    error::Error,
    events::Share,
    message::{self, METHOD_NOT_FOUND},
    peer::{Outcome, Peer, Stop, Until},
};

/// Asks whether the skill can serve.
pub(super) async fn healthcheck(peer: &mut Peer, until: &Until<'_>) -> Result<(), Stop> {
    match peer.request("healthcheck", &json!({}), until, &mut |_, _| {}).await? {
        Outcome::Answered(Err(error)) if error.code != METHOD_NOT_FOUND => Err(Stop::Broken(Error::Unhealthy(error))),
        Outcome::Answered(_) => Ok(()),
        Outcome::Cancelled => Err(Stop::Cancelled),
    }
}

/// Has the skill do something.
pub(super) async fn execute(
    peer: &mut Peer,
    call: &Call,
    until: &Until<'_>,
    share: &mut Share<'_>,
) -> Result<Outcome, Stop> {
    let left = until.deadline.saturating_duration_since(Instant::now());
    let params = json!({
        "command": call.command,
        "payload": call.payload,
        "deadlineMs": u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
    });
    let mut on_notice = |method: &str, params: &Value| match method {
        "progress" => share.progress(params),
        "log" => share.log(params),
        // Kinds of notices that later versions have are nothing to fail for.
        _ => {}
    };
    peer.request("execute", &params, until, &mut on_notice).await
}

/// The notice that a request is cancelled.
pub(super) fn cancel(id: u64) -> Value {
    message::notice("cancel", &json!({"id": id}))
}

//! One request and its answer, over a connection of their own.
//!
//! Invariants: the passing is held until the last byte of the request has been handed to the operating system and not longer
//! than [`WRITE_LIMIT`]; everything ends by the deadline; what is read is bounded, whatever the other side sends.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    Request, StatusCode,
    body::{Body, Frame, SizeHint},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::wire::{Meter, Stream, Wire};
use crate::governance::executor::{NotSent, Passing};

/// Longest time for a request to leave. One that is not taken by then is cut off.
pub const WRITE_LIMIT: Duration = Duration::from_secs(1);

/// Largest head of an answer, in bytes; answers that only inform (1xx) count with it.
pub const MOST_HEAD_BYTES: usize = 32 * 1024;

/// Largest body of an answer that is kept, in bytes.
pub const MOST_ANSWER_BYTES: usize = 256 * 1024;

/// A body in chunks takes more bytes than it has; one in chunks of a byte or two takes more than this.
const MOST_BODY_WIRE_BYTES: usize = 4 * MOST_ANSWER_BYTES;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The body; nothing when it is larger than [`MOST_ANSWER_BYTES`].
    pub(super) body: Option<Bytes>,
    /// Whether the whole request had left when the answer was there.
    pub(super) to_all: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing was sent.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// It was sent, in whole or in part.
    #[error("{0}")]
    Cut(String),
}

/// The body of a request, which tells its meter when it has been taken.
pub(super) struct Whole {
    body: Option<Bytes>,
    meter: Arc<Meter>,
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = self.body.take();
        self.meter.take();
        Poll::Ready(body.map(|body| Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// Sends the request, lets the passing go, and reads the answer.
pub(super) async fn exchange(
    mut stream: Stream,
    request: Request<Bytes>,
    passing: Passing,
    deadline: Instant,
) -> Result<Answer, Failure> {
    stream.waits().map_err(unreachable)?;
    if !passing.holds() {
        return Err(unreachable(
            "it was held up for too long after the last look at the kill switch",
        ));
    }
    // Let go last: after the connection, when there is one that is cut.
    let mut passing = Some(passing);
    let meter = Meter::new(2 * MOST_HEAD_BYTES);
    let wire = Wire {
        stream,
        meter: Arc::clone(&meter),
    };
    let request = request.map(|body| Whole {
        body: Some(body),
        meter: Arc::clone(&meter),
    });
    let mut builder = http1::Builder::new();
    let handshake = builder.max_buf_size(MOST_HEAD_BYTES).handshake(TokioIo::new(wire));
    // Nothing is written here; the request is the first that is.
    let (mut sender, connection) = handshake.await.map_err(unreachable)?;
    let mut connection = pin!(connection);
    let mut answer = pin!(async {
        let response = sender.send_request(request).await.map_err(innermost)?;
        meter.grant(MOST_BODY_WIRE_BYTES);
        let status = response.status();
        let body = match Limited::new(response.into_body(), MOST_ANSWER_BYTES).collect().await {
            Ok(body) => Some(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() || meter.exceeded() => None,
            Err(error) => return Err(innermost(error)),
        };
        Ok((status, body))
    });
    let written_by = deadline.min(Instant::now() + WRITE_LIMIT);
    let mut open = true;
    let ended = loop {
        tokio::select! {
            biased;
            () = meter.left(), if passing.is_some() => passing = None,
            ended = &mut answer => break ended,
            _ = &mut connection, if open => open = false,
            () = sleep_until(written_by), if passing.is_some() => break Err("it did not take the whole request in time".to_owned()),
            () = sleep_until(deadline) => break Err("its answer was not there in time".to_owned()),
        }
    };
    match ended {
        Ok((status, body)) => Ok(Answer {
            status,
            body,
            to_all: meter.sent(),
        }),
        Err(reason) if meter.touched() => Err(Failure::Cut(reason)),
        Err(reason) => Err(unreachable(reason)),
    }
}

/// Gets ready within the deadline; what is late was not sent.
pub(super) async fn by<T>(deadline: Instant, ready: impl Future<Output = Result<T, NotSent>>) -> Result<T, NotSent> {
    let late = |_| NotSent::Unreachable("it could not be sent in time".to_owned());
    timeout_at(deadline, ready).await.map_err(late)?
}

fn unreachable(reason: impl std::fmt::Display) -> Failure {
    NotSent::Unreachable(format!("nothing was sent: {reason}")).into()
}

fn innermost(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> String {
    let error = error.into();
    let mut innermost: &dyn std::error::Error = &*error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

//! The body of a request, read whole: up to a size, within a time.
//!
//! Invariant: no more than the limit is ever kept in memory, whether or not the caller announced the length.

use std::time::Duration;

use axum::{body::Body, extract::Request};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use crate::{
    access::Caller,
    problem::{Kind, Problem},
};

/// What a body may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Its size, in bytes.
    pub(crate) bytes: usize,
    /// The time until it is there.
    pub(crate) time: Duration,
}

/// Reads the body of a request, up to what its caller may send.
///
/// # Errors
/// A problem when it is too large, too slow or cut off.
pub(crate) async fn read(request: Request, mut limits: Limits) -> Result<Bytes, Problem> {
    let caller = request.extensions().get::<Caller>();
    if let Some(most) = caller.and_then(|caller| caller.limits.body_bytes) {
        limits.bytes = limits.bytes.min(most);
    }
    within(request.into_body(), limits).await
}

async fn within(body: Body, limits: Limits) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > limits.bytes as u64 {
        return Err(too_large(limits));
    }
    match tokio::time::timeout(limits.time, collect(body, limits)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::new(
            Kind::BodyTimeout,
            format!(
                "the body did not arrive within {} ms (STUDIO_BRAIN_HTTP_BODY_TIMEOUT_MS)",
                limits.time.as_millis()
            ),
        )),
    }
}

async fn collect(mut body: Body, limits: Limits) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(
                Kind::MalformedRequest,
                "the body ended early or is not framed correctly",
            )
            .caused_by(error)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limits.bytes {
            return Err(too_large(limits));
        }
        // Most bodies come in one piece, which is used as it is.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn too_large(limits: Limits) -> Problem {
    Problem::new(
        Kind::BodyTooLarge,
        format!(
            "the body is larger than {} bytes (STUDIO_BRAIN_HTTP_MAX_BODY_BYTES, or the limit of the token)",
            limits.bytes
        ),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    const LIMITS: Limits = Limits {
        bytes: 10,
        time: Duration::from_secs(5),
    };

    fn pieces(pieces: &'static [&'static str]) -> Body {
        Body::from_stream(stream::iter(pieces.iter().map(|piece| Ok::<_, Infallible>(*piece))))
    }

    #[tokio::test]
    async fn joins_pieces_and_counts_them() {
        assert_eq!(within(Body::empty(), LIMITS).await.unwrap(), "");
        assert_eq!(within(Body::from("0123456789"), LIMITS).await.unwrap(), "0123456789");
        assert_eq!(
            within(pieces(&["012", "", "345", "6789"]), LIMITS).await.unwrap(),
            "0123456789"
        );
        for large in [Body::from("0123456789a"), pieces(&["0123456789", "a"])] {
            assert_eq!(within(large, LIMITS).await.unwrap_err().kind(), Kind::BodyTooLarge);
        }
    }

    #[tokio::test]
    async fn does_not_wait_for_ever() {
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let limits = Limits {
            time: Duration::from_millis(10),
            ..LIMITS
        };
        assert_eq!(within(silent, limits).await.unwrap_err().kind(), Kind::BodyTimeout);
    }
}

//! Answers that go on: their connection is busy until they end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::connection::Peer;

/// Marks a response whose body goes on for as long as the caller wants it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streaming;

/// A body that keeps its connection from being taken for an idle one.
pub(super) struct Held {
    body: Body,
    peer: Arc<Peer>,
}

impl Held {
    pub(super) fn body(body: Body, peer: &Arc<Peer>) -> Body {
        peer.stream_begins();
        Body::new(Self {
            body,
            peer: Arc::clone(peer),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.peer.stream_ends();
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

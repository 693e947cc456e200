//! An artifact on its way out of the store: a stream that ends in an error unless every byte came as it was stored.

use std::{
    pin::Pin,
    task::{Context as Task, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use s3::{command::Command, error::S3Error};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use super::{
    ArtifactKey, Digest, Error, Meta,
    error::Context,
    transport::{Answer, Call, Repeat, Response, Transport, broken},
};

const ACTION: &str = "read artifact";

/// An open artifact: what is known about it, and the stream of its bytes.
///
/// The stream fails with [`Error::Timeout`] when nothing comes for the configured time-out, with
/// [`Error::Length`] when it ends early, and, where the SHA-256 is known and the artifact is read whole, with
/// [`Error::Corrupt`] after its last byte. A consumer acts on the bytes only after the stream has ended well.
pub struct Download {
    meta: Meta,
    length: u64,
    context: Box<Context>,
    body: Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download")
            .field("meta", &self.meta)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Download {
    /// What the store knows about the artifact; its `size` is that of the whole artifact.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Bytes that this stream gives: the size of the artifact or of the range.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The stream as a reader. Its errors carry an [`Error`] as their source.
    pub fn into_reader(self) -> impl AsyncRead + Send + Unpin {
        StreamReader::new(self.body.map_err(|error| {
            let kind = match error {
                Error::Timeout { .. } => std::io::ErrorKind::TimedOut,
                Error::Corrupt { .. } => std::io::ErrorKind::InvalidData,
                Error::Length { .. } => std::io::ErrorKind::UnexpectedEof,
                _ => std::io::ErrorKind::Other,
            };
            std::io::Error::new(kind, error)
        }))
    }

    /// The verified bytes of a small artifact.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before anything is read when there are more than `limit` bytes, else what the stream
    /// ends with.
    pub async fn into_bytes(mut self, limit: usize) -> Result<Vec<u8>, Error> {
        if self.length > limit as u64 {
            return Err(Error::TooLarge {
                context: self.context,
                limit: limit as u64,
            });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = self.body.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes)
    }
}

impl Stream for Download {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        self.body.as_mut().poll_next(task)
    }
}

/// Opens the whole artifact. It is checked against `expected`, else against the digest in its metadata.
pub(super) async fn whole(
    transport: &Transport,
    key: &ArtifactKey,
    expected: Option<Digest>,
) -> Result<Option<Download>, Error> {
    let Some(response) = open(transport, key, Command::GetObject).await? else {
        return Ok(None);
    };
    let meta = Meta::read(&response, key, transport.context(ACTION, Some(key)))?;
    let checked = expected.or(meta.sha256);
    Ok(Some(Download::new(transport, response, meta.size, meta, checked)))
}

/// Opens `length` bytes from `offset` on, or all from there; fewer where the artifact ends before.
pub(super) async fn range(
    transport: &Transport,
    key: &ArtifactKey,
    offset: u64,
    length: Option<u64>,
) -> Result<Option<Download>, Error> {
    if length == Some(0) {
        return Err(Error::InvalidRequest {
            reason: "a range must have at least one byte".to_owned(),
        });
    }
    // An end that no artifact reaches is no end; stores cannot read a number that large.
    let end = length
        .and_then(|length| offset.checked_add(length - 1))
        .filter(|end| i64::try_from(*end).is_ok());
    let command = Command::GetObjectRange { start: offset, end };
    let Some(response) = open(transport, key, command).await? else {
        return Ok(None);
    };
    let header = response
        .headers()
        .get("content-range")
        .and_then(|value| value.to_str().ok());
    let Some(range) = header
        .and_then(ContentRange::read)
        .filter(|range| range.start == offset)
    else {
        return Err(Error::Protocol {
            context: transport.context(ACTION, Some(key)),
            reason: format!("it was asked for the bytes from {offset} on and did not answer with them"),
        });
    };
    let mut meta = Meta::read(&response, key, transport.context(ACTION, Some(key)))?;
    meta.size = range.total;
    // The digest is that of all bytes, which a range does not have.
    Ok(Some(Download::new(
        transport,
        response,
        range.end - range.start + 1,
        meta,
        None,
    )))
}

async fn open(transport: &Transport, key: &ArtifactKey, command: Command<'_>) -> Result<Option<Response>, Error> {
    let call = Call {
        action: ACTION,
        key: Some(key),
        command,
        repeat: Repeat::Always,
        limit: transport.patience,
    };
    match transport.ask(call).await? {
        Answer::Success(response) => Ok(Some(response)),
        Answer::Refused(refusal) if refusal.status == 404 => {
            transport.only_the_key_is_missing(ACTION, key).await.map(|()| None)
        }
        Answer::Refused(refusal) => Err(refusal.into_error(transport.context(ACTION, Some(key)))),
    }
}

impl Download {
    fn new(transport: &Transport, response: Response, length: u64, meta: Meta, expected: Option<Digest>) -> Self {
        let context = transport.context(ACTION, Some(&meta.key));
        let body = Body {
            chunks: Box::pin(response.bytes_stream().map_err(Into::into)),
            received: 0,
            length,
            check: expected.map(|expected| (Sha256::new(), expected)),
            patience: transport.patience,
            context: context.clone(),
        };
        Self {
            meta,
            length,
            context,
            body: Box::pin(stream::try_unfold(body, Body::next)),
        }
    }
}

/// The bytes as they come, counted and hashed.
struct Body {
    chunks: Pin<Box<dyn Stream<Item = Result<Bytes, S3Error>> + Send>>,
    received: u64,
    length: u64,
    check: Option<(Sha256, Digest)>,
    patience: Duration,
    context: Box<Context>,
}

impl Body {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        match tokio::time::timeout(self.patience, self.chunks.next()).await {
            Err(_) => Err(Error::Timeout {
                context: self.context,
                waited: self.patience,
            }),
            Ok(Some(Err(error))) => Err(broken(error, self.context)),
            Ok(Some(Ok(chunk))) => {
                self.received += chunk.len() as u64;
                if let Some((hasher, _)) = &mut self.check {
                    hasher.update(&chunk);
                }
                Ok(Some((chunk, self)))
            }
            Ok(None) => self.end().map(|()| None),
        }
    }

    fn end(self) -> Result<(), Error> {
        if self.received != self.length {
            return Err(Error::Length {
                context: self.context,
                expected: self.length,
                found: self.received,
            });
        }
        if let Some((hasher, expected)) = self.check {
            let found = Digest::finish(hasher);
            if found != expected {
                return Err(Error::Corrupt {
                    context: self.context,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }
}

/// `Content-Range: bytes START-END/TOTAL`, END included.
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    start: u64,
    end: u64,
    total: u64,
}

impl ContentRange {
    fn read(header: &str) -> Option<Self> {
        let (range, total) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (start, end) = range.split_once('-')?;
        let range = Self {
            start: start.parse().ok()?,
            end: end.parse().ok()?,
            total: total.parse().ok()?,
        };
        (range.start <= range.end && range.end < range.total).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_range() {
        let range = |header| ContentRange::read(header).map(|range| (range.start, range.end, range.total));
        assert_eq!(range("bytes 3-9/10"), Some((3, 9, 10)));
        for header in [
            "",
            "bytes 3-9/*",
            "bytes 9-3/10",
            "bytes 3-10/10",
            "bytes */10",
            "bytes 0-18446744073709551615/1",
        ] {
            assert_eq!(range(header), None, "{header}");
        }
    }
}

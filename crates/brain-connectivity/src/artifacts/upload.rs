//! Storing an artifact from a stream: at most two parts' worth of it is in memory at any time, and it appears
//! under its key whole or not at all.

use std::time::Duration;

use s3::command::Command;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{
    ArtifactKey, Digest, Error, Stored, multipart,
    transport::{Call, Repeat, Transport},
};

/// Bytes of one part of a large artifact; smaller artifacts go in one request.
pub const PART_BYTES: usize = 8 * 1024 * 1024;

/// A transfer slower than this many bytes a second counts as standing still: a part is handed over whole, so
/// its progress cannot be watched.
const SLOWEST_TRANSFER: u64 = 256 * 1024;

/// The metadata entry that holds the SHA-256.
pub(super) const DIGEST_HEADER: &str = "x-amz-meta-sha256";

/// What all requests of a storing say that they do.
pub(super) const ACTION: &str = "store artifact";

/// Reads `source` to its end and stores it.
pub(super) async fn put(
    transport: &Transport,
    key: &ArtifactKey,
    source: impl AsyncRead + Send,
    content_type: &str,
    expected: Option<Digest>,
) -> Result<Stored, Error> {
    check_content_type(content_type)?;
    tokio::pin!(source);
    let mut part = Vec::new();
    fill(transport, key, &mut source, &mut part).await?;
    if part.len() < PART_BYTES {
        return put_whole(transport, key, &part, content_type, expected).await;
    }
    multipart::put(transport, key, source, part, content_type, expected).await
}

/// `Bucket::add_header` panics on what cannot be a header, so it is checked before.
pub(super) fn check_content_type(content_type: &str) -> Result<(), Error> {
    let valid = content_type.len() <= 255
        && content_type.contains('/')
        && content_type.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if valid {
        Ok(())
    } else {
        Err(Error::InvalidRequest {
            reason: format!(
                "content type {content_type:?} is not valid: something like `text/plain` is, of at most 255 characters"
            ),
        })
    }
}

/// Reads up to one part; less only at the end of the source.
pub(super) async fn fill(
    transport: &Transport,
    key: &ArtifactKey,
    source: &mut (impl AsyncRead + Unpin),
    part: &mut Vec<u8>,
) -> Result<(), Error> {
    part.clear();
    match source.take(PART_BYTES as u64).read_to_end(part).await {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Source {
            context: transport.context(ACTION, Some(key)),
            source,
        }),
    }
}

/// How long sending so many bytes may take.
pub(super) fn transfer_limit(transport: &Transport, bytes: usize) -> Duration {
    transport.patience + Duration::from_secs(bytes as u64 / SLOWEST_TRANSFER)
}

/// Refuses bytes that are not the expected ones.
pub(super) fn verify(
    transport: &Transport,
    key: &ArtifactKey,
    expected: Option<Digest>,
    found: Digest,
) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != found => Err(Error::Corrupt {
            context: transport.context(ACTION, Some(key)),
            expected,
            found,
        }),
        _ => Ok(()),
    }
}

async fn put_whole(
    transport: &Transport,
    key: &ArtifactKey,
    content: &[u8],
    content_type: &str,
    expected: Option<Digest>,
) -> Result<Stored, Error> {
    let sha256 = Digest::of(content);
    verify(transport, key, expected, sha256)?;
    let mut transport = transport.clone();
    transport.bucket.add_header(DIGEST_HEADER, &sha256.to_string());
    let call = Call {
        action: ACTION,
        key: Some(key),
        command: Command::PutObject {
            content,
            content_type,
            custom_headers: None,
            multipart: None,
        },
        repeat: Repeat::Always,
        limit: transfer_limit(&transport, content.len()),
    };
    let response = transport.demand(call).await?;
    let etag = response
        .headers()
        .get("etag")
        .and_then(|etag| etag.to_str().ok())
        .map(str::to_owned);
    Ok(Stored {
        key: key.clone(),
        size: content.len() as u64,
        sha256,
        etag,
    })
}

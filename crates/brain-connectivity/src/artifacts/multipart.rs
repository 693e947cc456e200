//! Storing a large artifact in parts, one after the other.
//!
//! What was sent is freed again unless the upload is completed, whatever ends it.

use std::time::Duration;

use s3::{
    command::{Command, Multipart},
    serde_types::{CompleteMultipartUploadData, Part},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncRead;

use super::{
    ArtifactKey, Digest, Error, Stored,
    refusal::Refusal,
    transport::{Answer, Call, Repeat, Transport},
    upload::{ACTION, DIGEST_HEADER, PART_BYTES, fill, transfer_limit, verify},
};

/// Parts of one artifact at most; the limit of S3 itself.
const MAX_PARTS: u32 = 10_000;

/// Largest artifact in bytes.
pub const MAX_ARTIFACT_BYTES: u64 = PART_BYTES as u64 * MAX_PARTS as u64;

/// How fast the store puts the parts together at least, in bytes a second.
const SLOWEST_ASSEMBLY: u64 = 16 * 1024 * 1024;

/// Longest answer to the begin and end of a multipart upload.
const MAX_ANSWER: usize = 64 * 1024;

/// Stores `first`, which is a whole part, and what `source` still gives.
pub(super) async fn put(
    transport: &Transport,
    key: &ArtifactKey,
    mut source: impl AsyncRead + Unpin + Send,
    first: Vec<u8>,
    content_type: &str,
    expected: Option<Digest>,
) -> Result<Stored, Error> {
    let mut transport = transport.clone();
    if let Some(expected) = expected {
        transport.bucket.add_header(DIGEST_HEADER, &expected.to_string());
    }
    let mut upload = Upload::begin(&transport, key, content_type).await?;
    let stored = upload.send_all(&mut source, first, content_type, expected).await;
    if stored.is_err() {
        upload.abort().await;
    }
    upload.open = false;
    stored
}

/// A multipart upload that has begun. What it has stored so far is freed when it is aborted, also when the
/// future that drives it is dropped.
struct Upload<'a> {
    transport: &'a Transport,
    key: &'a ArtifactKey,
    id: String,
    open: bool,
}

#[derive(Deserialize)]
struct Begun {
    #[serde(rename = "UploadId")]
    upload_id: String,
}

#[derive(Deserialize)]
struct Completed {
    #[serde(rename = "ETag", default)]
    etag: Option<String>,
}

impl<'a> Upload<'a> {
    async fn begin(transport: &'a Transport, key: &'a ArtifactKey, content_type: &str) -> Result<Self, Error> {
        let call = Call {
            action: ACTION,
            key: Some(key),
            command: Command::InitiateMultipartUpload { content_type },
            repeat: Repeat::IfUntouched,
            limit: transport.patience,
        };
        let response = transport.demand(call).await?;
        let body = transport.collect(response, MAX_ANSWER, ACTION, Some(key)).await?;
        let begun: Begun = parse(transport, key, "InitiateMultipartUploadResult", &body)?;
        Ok(Self {
            transport,
            key,
            id: begun.upload_id,
            open: true,
        })
    }

    async fn send_all(
        &mut self,
        source: &mut (impl AsyncRead + Unpin + Send),
        mut part: Vec<u8>,
        content_type: &str,
        expected: Option<Digest>,
    ) -> Result<Stored, Error> {
        let mut hasher = Sha256::new();
        let mut parts = Vec::new();
        let mut size = 0;
        while !part.is_empty() {
            if parts.len() == MAX_PARTS as usize {
                let context = self.transport.context(ACTION, Some(self.key));
                return Err(Error::TooLarge {
                    context,
                    limit: MAX_ARTIFACT_BYTES,
                });
            }
            hasher.update(&part);
            size += part.len() as u64;
            let part_number = parts.len() as u32 + 1;
            let etag = self.send(part_number, &part, content_type).await?;
            parts.push(Part { part_number, etag });
            let last = part.len() < PART_BYTES;
            if last {
                break;
            }
            fill(self.transport, self.key, source, &mut part).await?;
        }
        let sha256 = Digest::finish(hasher);
        verify(self.transport, self.key, expected, sha256)?;
        let etag = self.complete(parts, size).await?;
        Ok(Stored {
            key: self.key.clone(),
            size,
            sha256,
            etag,
        })
    }

    async fn send(&self, part_number: u32, content: &[u8], content_type: &str) -> Result<String, Error> {
        let call = Call {
            action: ACTION,
            key: Some(self.key),
            command: Command::PutObject {
                content,
                content_type,
                custom_headers: None,
                multipart: Some(Multipart::new(part_number, &self.id)),
            },
            repeat: Repeat::Always,
            limit: transfer_limit(self.transport, content.len()),
        };
        let response = self.transport.demand(call).await?;
        let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok());
        etag.map(str::to_owned).ok_or_else(|| Error::Protocol {
            context: self.transport.context(ACTION, Some(self.key)),
            reason: "the answer to an uploaded part has no ETag".to_owned(),
        })
    }

    /// Not repeated once the store may have acted on it: a second request would find the upload gone, which
    /// cannot be told from an upload that failed.
    async fn complete(&mut self, parts: Vec<Part>, size: u64) -> Result<Option<String>, Error> {
        let data = CompleteMultipartUploadData { parts };
        let call = Call {
            action: ACTION,
            key: Some(self.key),
            command: Command::CompleteMultipartUpload {
                upload_id: &self.id,
                data,
            },
            repeat: Repeat::IfUntouched,
            limit: self.transport.patience + Duration::from_secs(size / SLOWEST_ASSEMBLY),
        };
        let response = self.transport.demand(call).await?;
        let body = self
            .transport
            .collect(response, MAX_ANSWER, ACTION, Some(self.key))
            .await?;
        if let Some(refusal) = Refusal::read_late(&body) {
            return Err(refusal.into_error(self.transport.context(ACTION, Some(self.key))));
        }
        Ok(parse::<Completed>(self.transport, self.key, "CompleteMultipartUploadResult", &body)?.etag)
    }

    async fn abort(&self) {
        abort(self.transport, self.key, &self.id).await;
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (transport, key, id) = (self.transport.clone(), self.key.clone(), self.id.clone());
            runtime.spawn(async move { abort(&transport, &key, &id).await });
        }
    }
}

async fn abort(transport: &Transport, key: &ArtifactKey, upload_id: &str) {
    let call = Call {
        action: "abort the upload of artifact",
        key: Some(key),
        command: Command::AbortMultipartUpload { upload_id },
        repeat: Repeat::Always,
        limit: transport.patience,
    };
    let gone = match transport.ask(call).await {
        Ok(Answer::Success(_)) => return,
        Ok(Answer::Refused(refusal)) if refusal.status == 404 => return,
        Ok(Answer::Refused(refusal)) => refusal.into_error(transport.context(ACTION, Some(key))),
        Err(error) => error,
    };
    // The caller gets the error that led here; that parts stay behind is news only to whoever pays for them.
    tracing::warn!(
        artifact.key = %key, upload.id = %upload_id, error = %gone,
        "an unfinished upload was left in the artifact store"
    );
}

/// Reads a document with this root element; the parser itself takes any.
fn parse<T: serde::de::DeserializeOwned>(
    transport: &Transport,
    key: &ArtifactKey,
    root: &str,
    body: &[u8],
) -> Result<T, Error> {
    let text = String::from_utf8_lossy(body);
    let parsed = if text.contains(root) {
        quick_xml::de::from_str(&text).map_err(|error| error.to_string())
    } else {
        Err(format!("it has no {root}"))
    };
    parsed.map_err(|reason| Error::Protocol {
        context: transport.context(ACTION, Some(key)),
        reason: format!("its answer cannot be read: {reason}"),
    })
}

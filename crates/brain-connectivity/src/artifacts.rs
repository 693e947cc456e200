//! Artifact store: bytes of any size in S3-compatible storage, streamed both ways.
//!
//! An artifact is never whole in memory, and it is stored whole or not at all. What is read is checked against
//! its SHA-256 wherever that is known: the digest is kept with the artifact when it is known before the
//! last byte must be sent, and is always returned by [`ArtifactStore::put`], so that the caller can record it
//! and read with [`ArtifactStore::get_verified`].
//!
//! ```no_run
//! # async fn run(config: brain_config::Config) -> Result<(), brain_connectivity::artifacts::Error> {
//! use brain_connectivity::artifacts::{ArtifactKey, ArtifactStore};
//!
//! let store = ArtifactStore::open(&config.artifacts)?;
//! store.ensure_bucket().await?;
//! let key = ArtifactKey::new("runs/7/report.txt")?;
//! let stored = store.put(&key, &b"all well"[..], "text/plain").await?;
//! if let Some(download) = store.get_verified(&key, stored.sha256).await? {
//!     assert_eq!(download.into_bytes(1024).await?, b"all well");
//! }
//! # Ok(())
//! # }
//! ```

mod digest;
mod download;
mod endpoint;
mod error;
mod key;
mod listing;
mod meta;
mod multipart;
mod presign;
mod probe;
mod refusal;
mod transport;
mod upload;

use std::{sync::Arc, time::Duration};

use brain_config as config;
use s3::{Bucket, BucketConfiguration, Region, command::Command, creds::Credentials};
use secrecy::ExposeSecret;
use tokio::io::AsyncRead;
use url::Url;

use self::transport::{Answer, Call, Repeat, Transport};
pub use self::{
    digest::Digest,
    download::Download,
    error::{Context, Error, Place},
    key::{ArtifactKey, MAX_KEY_BYTES},
    listing::{Cursor, Entry, MAX_PAGE, Page},
    meta::Meta,
    multipart::MAX_ARTIFACT_BYTES,
    presign::MAX_LIFE,
    probe::ArtifactStoreProbe,
    upload::PART_BYTES,
};

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: ArtifactKey,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes, computed while they were sent.
    pub sha256: Digest,
    /// The store's version mark, where it gives one.
    pub etag: Option<String>,
}

/// One bucket of an S3-compatible store. Clones share connections.
#[derive(Clone)]
pub struct ArtifactStore {
    transport: Transport,
}

impl std::fmt::Debug for ArtifactStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtifactStore")
            .field("place", &self.transport.place)
            .finish_non_exhaustive()
    }
}

impl ArtifactStore {
    /// Takes the settings over; nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the endpoint cannot be used.
    pub fn open(settings: &config::Artifacts) -> Result<Self, Error> {
        let endpoint = endpoint::address(&settings.endpoint, settings.use_ssl)?;
        let (access_key, secret_key) = (settings.access_key.expose_secret(), settings.secret_key.expose_secret());
        let credentials = Credentials::new(Some(access_key), Some(secret_key), None, None, None).map_err(|error| {
            Error::Configuration {
                variable: "STUDIO_BRAIN_ARTIFACT_STORE_ACCESS_KEY",
                reason: error.to_string(),
            }
        })?;
        let region = Region::Custom {
            region: settings.region.clone(),
            endpoint: endpoint.clone(),
        };
        // Always addressed by path: a bucket as a subdomain needs a name service that knows it.
        let mut bucket = Bucket::new(&settings.bucket, region, credentials)
            // Settings come from brain-config alone, not from the proxy variables that the client would heed.
            .and_then(|bucket| bucket.set_proxy(reqwest::Proxy::custom(|_| None::<Url>)))
            .map_err(|error| Error::Configuration {
                variable: "STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT",
                reason: error.to_string(),
            })?;
        bucket.set_path_style();
        // The limit of the library is one on the whole transfer; ours are in `transport`.
        bucket.set_request_timeout(None);
        let place = Arc::new(Place {
            endpoint,
            bucket: settings.bucket.clone(),
        });
        Ok(Self {
            transport: Transport {
                bucket: Box::new(bucket),
                place,
                patience: settings.timeout,
            },
        })
    }

    /// Endpoint and bucket, for messages.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.transport.place
    }

    /// Makes the bucket unless it exists. Safe when several do it at once.
    ///
    /// # Errors
    /// Any [`Error`] of talking to the store.
    pub async fn ensure_bucket(&self) -> Result<(), Error> {
        if self.transport.bucket_is_there("look at", Repeat::Always).await? {
            return Ok(());
        }
        let action = "create";
        let mut bucket = BucketConfiguration::private();
        // The one region that must not be named.
        if self.transport.bucket.region.to_string() != "us-east-1" {
            bucket.set_region(self.transport.bucket.region.clone());
        }
        let call = Call {
            action,
            key: None,
            command: Command::CreateBucket { config: bucket },
            repeat: Repeat::Always,
            limit: self.transport.patience,
        };
        match self.transport.ask(call).await? {
            Answer::Success(_) => Ok(()),
            // Somebody was faster; whether the bucket is one that we may use is another question.
            Answer::Refused(refusal) if refusal.status == 409 => {
                if self.transport.bucket_is_there(action, Repeat::Always).await? {
                    Ok(())
                } else {
                    Err(refusal.into_error(self.transport.context(action, None)))
                }
            }
            Answer::Refused(refusal) => Err(refusal.into_error(self.transport.context(action, None))),
        }
    }

    /// Stores what `source` gives, to its end, in place of what was there. Requests are bounded in time; how long
    /// `source` takes is up to the caller.
    ///
    /// # Errors
    /// [`Error::Source`] when reading fails, [`Error::TooLarge`] above [`MAX_ARTIFACT_BYTES`], or any error of
    /// talking to the store. Then, and when the future is dropped, what was there before is unchanged.
    pub async fn put(
        &self,
        key: &ArtifactKey,
        source: impl AsyncRead + Send,
        content_type: &str,
    ) -> Result<Stored, Error> {
        upload::put(&self.transport, key, source, content_type, None).await
    }

    /// As [`put`](Self::put), for bytes whose SHA-256 is known: stored only if they have it, and kept with it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when they have another digest, else as [`put`](Self::put).
    pub async fn put_verified(
        &self,
        key: &ArtifactKey,
        source: impl AsyncRead + Send,
        content_type: &str,
        sha256: Digest,
    ) -> Result<Stored, Error> {
        upload::put(&self.transport, key, source, content_type, Some(sha256)).await
    }

    /// Opens an artifact; `None` when there is none. It is checked against the digest kept with it, if any.
    ///
    /// # Errors
    /// Any [`Error`] of talking to the store, here or later in the stream.
    pub async fn get(&self, key: &ArtifactKey) -> Result<Option<Download>, Error> {
        download::whole(&self.transport, key, None).await
    }

    /// As [`get`](Self::get), checked against a digest that the caller recorded.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_verified(&self, key: &ArtifactKey, sha256: Digest) -> Result<Option<Download>, Error> {
        download::whole(&self.transport, key, Some(sha256)).await
    }

    /// Opens `length` bytes from `offset` on, or all from there; fewer where the artifact ends before.
    /// `None` when there is no such artifact.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a length of 0, [`Error::Refused`] with status 416 when the artifact ends
    /// before `offset`, else as [`get`](Self::get).
    pub async fn get_range(
        &self,
        key: &ArtifactKey,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Option<Download>, Error> {
        download::range(&self.transport, key, offset, length).await
    }

    /// What the store knows about an artifact; `None` when there is none.
    ///
    /// # Errors
    /// Any [`Error`] of talking to the store.
    pub async fn head(&self, key: &ArtifactKey) -> Result<Option<Meta>, Error> {
        meta::head(&self.transport, key).await
    }

    /// Up to `limit` (1 to [`MAX_PAGE`]) artifacts whose keys start with `prefix`, which may be empty, in the byte
    /// order of their keys, after `cursor`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a bad limit, prefix or cursor, or any error of talking to the store.
    pub async fn list(&self, prefix: &str, cursor: Option<&Cursor>, limit: usize) -> Result<Page, Error> {
        listing::list(&self.transport, prefix, cursor, limit).await
    }

    /// Deletes an artifact; deleting what is not there succeeds.
    ///
    /// # Errors
    /// Any [`Error`] of talking to the store.
    pub async fn delete(&self, key: &ArtifactKey) -> Result<(), Error> {
        let action = "delete artifact";
        let call = Call {
            action,
            key: Some(key),
            command: Command::DeleteObject,
            repeat: Repeat::Always,
            limit: self.transport.patience,
        };
        match self.transport.ask(call).await? {
            Answer::Success(_) => Ok(()),
            Answer::Refused(refusal) if refusal.status == 404 => {
                self.transport.only_the_key_is_missing(action, key).await
            }
            Answer::Refused(refusal) => Err(refusal.into_error(self.transport.context(action, Some(key)))),
        }
    }

    /// A link that reads the artifact for `life` (1 second to [`MAX_LIFE`]) without credentials.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for another life.
    pub async fn presign_get(&self, key: &ArtifactKey, life: Duration) -> Result<String, Error> {
        presign::get(&self.transport, key, life).await
    }

    /// A link that stores an artifact by PUT for `life` without credentials. With a content type, the PUT must
    /// carry that very `content-type` header. What is stored so has no digest with it.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for another life or a content type that cannot be one.
    pub async fn presign_put(
        &self,
        key: &ArtifactKey,
        content_type: Option<&str>,
        life: Duration,
    ) -> Result<String, Error> {
        presign::put(&self.transport, key, content_type, life).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let mut settings = config::Config::defaults().artifacts;
        settings.secret_key = "do-not-show".into();
        settings.access_key = "nor-this".into();
        let shown = format!("{:?}", ArtifactStore::open(&settings).unwrap());
        assert!(!shown.contains("do-not-show") && !shown.contains("nor-this"), "{shown}");
    }
}

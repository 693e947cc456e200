//! What can go wrong with the artifact store, and which setting to look at.

use std::{fmt, io, sync::Arc, time::Duration};

use super::{ArtifactKey, Digest};

/// The bucket that a store works in; part of every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Scheme, host and port of the store.
    pub endpoint: String,
    /// Name of the bucket.
    pub bucket: String,
}

/// What was being done when an operation failed.
#[derive(Clone, Debug)]
pub struct Context {
    pub(super) place: Arc<Place>,
    pub(super) action: &'static str,
    pub(super) key: Option<ArtifactKey>,
}

impl Context {
    /// Endpoint and bucket.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The artifact concerned, where there is one.
    #[must_use]
    pub fn key(&self) -> Option<&ArtifactKey> {
        self.key.as_ref()
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action)?;
        if let Some(key) = &self.key {
            write!(f, " `{key}` in")?;
        }
        write!(f, " bucket `{}` at {}", self.place.bucket, self.place.endpoint)
    }
}

/// A failed operation on the artifact store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key cannot name an artifact.
    #[error("artifact key {key:?} is not valid: {reason}")]
    InvalidKey {
        /// The refused key.
        key: String,
        /// The rule that it breaks.
        reason: &'static str,
    },

    /// The caller asked for something that cannot be asked for.
    #[error("{reason}")]
    InvalidRequest {
        /// What is wrong and what is valid.
        reason: String,
    },

    /// The settings cannot be used.
    #[error("{variable} cannot be used: {reason}")]
    Configuration {
        /// The setting at fault.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },

    /// No connection, or it broke.
    #[error(
        "could not {context}: {cause}; check that the store runs and that STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT \
         and STUDIO_BRAIN_ARTIFACT_STORE_USE_SSL name it"
    )]
    Unreachable {
        /// What was being done.
        context: Box<Context>,
        /// The innermost reason that the network gave.
        cause: String,
        /// Whether the request cannot have reached the store.
        before_sending: bool,
    },

    /// The store did not answer, or its answer stood still, for too long.
    #[error(
        "could not {context}: nothing came for {} ms; if the store is only slow, raise STUDIO_BRAIN_ARTIFACT_STORE_TIMEOUT_MS",
        waited.as_millis()
    )]
    Timeout {
        /// What was being done.
        context: Box<Context>,
        /// How long nothing came.
        waited: Duration,
    },

    /// The store does not accept the credentials, or they do not allow this.
    #[error(
        "could not {context}: the store refused the credentials with {status} {code}{}; check \
         STUDIO_BRAIN_ARTIFACT_STORE_ACCESS_KEY, STUDIO_BRAIN_ARTIFACT_STORE_SECRET_KEY and what they permit",
        sentence(message)
    )]
    Denied {
        /// What was being done.
        context: Box<Context>,
        /// HTTP status.
        status: u16,
        /// The store's error code.
        code: String,
        /// The store's own words, perhaps empty.
        message: String,
    },

    /// The bucket does not exist.
    #[error(
        "could not {context}: the bucket does not exist; it is made when the brain starts, or set \
         STUDIO_BRAIN_ARTIFACT_STORE_BUCKET to one that exists"
    )]
    BucketMissing {
        /// What was being done.
        context: Box<Context>,
    },

    /// The store belongs to another region than the one that requests are signed for.
    #[error(
        "could not {context}: the store refused the region with {status} {code}{}; set STUDIO_BRAIN_ARTIFACT_STORE_REGION",
        sentence(message)
    )]
    Region {
        /// What was being done.
        context: Box<Context>,
        /// HTTP status.
        status: u16,
        /// The store's error code.
        code: String,
        /// The store's own words, perhaps empty.
        message: String,
    },

    /// The store answered with another failure.
    #[error("could not {context}: the store answered {status} {code}{}", sentence(message))]
    Refused {
        /// What was being done.
        context: Box<Context>,
        /// HTTP status.
        status: u16,
        /// The store's error code.
        code: String,
        /// The store's own words, perhaps empty.
        message: String,
    },

    /// The store's answer does not follow the protocol: perhaps it is no S3 store at all.
    #[error(
        "could not {context}: {reason}; check that STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT is the S3 interface of the store \
         and not its console"
    )]
    Protocol {
        /// What was being done.
        context: Box<Context>,
        /// What is wrong with the answer.
        reason: String,
    },

    /// The bytes are not those that were stored or announced.
    #[error("could not {context}: its bytes have SHA-256 {found}, not {expected}; they were changed, cut or mixed up")]
    Corrupt {
        /// What was being done.
        context: Box<Context>,
        /// The digest that was recorded.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },

    /// Fewer or more bytes came than were announced.
    #[error("could not {context}: {found} bytes came instead of {expected}")]
    Length {
        /// What was being done.
        context: Box<Context>,
        /// Bytes announced.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },

    /// The artifact is larger than the caller or the store takes.
    #[error("could not {context}: it is larger than {limit} bytes")]
    TooLarge {
        /// What was being done.
        context: Box<Context>,
        /// The limit in bytes.
        limit: u64,
    },

    /// The bytes to be stored could not be read from their source.
    #[error("could not {context}: reading the bytes to store failed")]
    Source {
        /// What was being done.
        context: Box<Context>,
        /// The source's own error.
        #[source]
        source: io::Error,
    },
}

fn sentence(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(" ({})", message.trim_end_matches('.'))
    }
}

impl Error {
    /// Whether the same operation may succeed later without anybody changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Length { .. } => true,
            Self::Refused { status, code, .. } => *status >= 500 || matches!(status, 408 | 429) || code == "SlowDown",
            _ => false,
        }
    }

    /// Whether the store cannot have acted on the request, so that repeating even a request that is not
    /// idempotent does no harm.
    pub(super) fn left_no_trace(&self) -> bool {
        match self {
            Self::Unreachable { before_sending, .. } => *before_sending,
            Self::Refused { status, .. } => matches!(status, 429 | 503),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Box<Context> {
        Box::new(Context {
            place: Arc::new(Place {
                endpoint: "http://127.0.0.1:9010".into(),
                bucket: "b".into(),
            }),
            action: "read artifact",
            key: ArtifactKey::new("runs/7/log").ok(),
        })
    }

    #[test]
    fn messages_name_place_key_and_setting() {
        let denied = Error::Denied {
            context: context(),
            status: 403,
            code: "InvalidAccessKeyId".into(),
            message: "Unknown key.".into(),
        };
        insta::assert_snapshot!(denied, @"could not read artifact `runs/7/log` in bucket `b` at http://127.0.0.1:9010: the store refused the credentials with 403 InvalidAccessKeyId (Unknown key); check STUDIO_BRAIN_ARTIFACT_STORE_ACCESS_KEY, STUDIO_BRAIN_ARTIFACT_STORE_SECRET_KEY and what they permit");
        let late = Error::Timeout {
            context: context(),
            waited: Duration::from_millis(5000),
        };
        insta::assert_snapshot!(late, @"could not read artifact `runs/7/log` in bucket `b` at http://127.0.0.1:9010: nothing came for 5000 ms; if the store is only slow, raise STUDIO_BRAIN_ARTIFACT_STORE_TIMEOUT_MS");
    }

    #[test]
    fn only_what_may_pass_by_itself_is_retryable() {
        let refused = |status| Error::Refused {
            context: context(),
            status,
            code: String::new(),
            message: String::new(),
        };
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(refused(status).retryable(), "{status}");
        }
        for status in [400, 404, 409, 412, 416] {
            assert!(!refused(status).retryable(), "{status}");
        }
        assert!(refused(503).left_no_trace());
        assert!(!refused(500).left_no_trace());
        let broken = |before_sending| Error::Unreachable {
            context: context(),
            cause: "reset".into(),
            before_sending,
        };
        assert!(broken(false).retryable() && !broken(false).left_no_trace());
        assert!(broken(true).left_no_trace());
    }
}

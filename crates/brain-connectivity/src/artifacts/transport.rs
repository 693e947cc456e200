//! One request to the store: sent, bounded in time, repeated where that is safe, and its answer sorted into
//! success, "not there" and typed errors.
//!
//! Requests go through `rust-s3`'s own request type (which signs and sends) instead of the methods of its
//! `Bucket`, because those
//! - do not look at the status unless a feature is on, so an error document is parsed as if it were a listing;
//! - give a streamed body without its headers, so a digest in the metadata would cost a second request;
//! - upload a stream with as many parts in memory at once as the machine's free memory holds;
//! - bound a transfer by its total time, where a large artifact on a slow line needs a bound on silence.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use s3::{
    Bucket,
    command::Command,
    error::S3Error,
    request::{Request, tokio_backend::ReqwestRequest},
};
use tokio::time::Instant;

use super::{
    ArtifactKey, Error,
    error::{Context, Place},
    refusal::{self, Refusal},
};
use crate::retry::{Backoff, retry};

/// The successful answer to a request, its body still to come.
pub(super) type Response = <ReqwestRequest<'static> as Request>::Response;

/// Repetitions of one request at most; its time limit ends them sooner.
const RETRIES: usize = 3;

const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(2),
    factor: 3.0,
    jitter: 0.5,
};

/// Longest error document that is read.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// When a failed request may be sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// After any failure that may pass: asking twice is the same as asking once.
    Always,
    /// Only when the store cannot have acted on it.
    IfUntouched,
    /// Not at all: health checks report what they see.
    Never,
}

/// A request, described.
pub(super) struct Call<'a> {
    /// What it does, for messages: "read artifact".
    pub(super) action: &'static str,
    pub(super) key: Option<&'a ArtifactKey>,
    pub(super) command: Command<'a>,
    pub(super) repeat: Repeat,
    /// Limit on all attempts together, until the head of the answer is there.
    pub(super) limit: Duration,
}

/// The store's answer.
pub(super) enum Answer {
    Success(Response),
    Refused(Refusal),
}

/// Bucket, place and patience of one store.
#[derive(Clone)]
pub(super) struct Transport {
    pub(super) bucket: Box<Bucket>,
    pub(super) place: Arc<Place>,
    /// Limit on a request without a large body, and on silence within a body.
    pub(super) patience: Duration,
}

impl Transport {
    pub(super) fn context(&self, action: &'static str, key: Option<&ArtifactKey>) -> Box<Context> {
        Box::new(Context {
            place: Arc::clone(&self.place),
            action,
            key: key.cloned(),
        })
    }

    /// Sends `call` and fails unless the store carried it out.
    pub(super) async fn demand(&self, call: Call<'_>) -> Result<Response, Error> {
        let context = self.context(call.action, call.key);
        match self.ask(call).await? {
            Answer::Success(response) => Ok(response),
            Answer::Refused(refusal) => Err(refusal.into_error(context)),
        }
    }

    /// Sends `call`; an answer that says 404 is not an error here.
    pub(super) async fn ask(&self, call: Call<'_>) -> Result<Answer, Error> {
        let deadline = Instant::now() + call.limit;
        let delays = BACKOFF
            .delays()
            .take(if call.repeat == Repeat::Never { 0 } else { RETRIES })
            .take_while(|delay| Instant::now() + *delay < deadline);
        let may_repeat = |error: &Error| match call.repeat {
            Repeat::Always => error.retryable(),
            Repeat::IfUntouched => error.left_no_trace(),
            Repeat::Never => false,
        };
        retry(delays, may_repeat, || self.attempt(&call, deadline)).await
    }

    async fn attempt(&self, call: &Call<'_>, deadline: Instant) -> Result<Answer, Error> {
        let context = || self.context(call.action, call.key);
        let path = call.key.map_or("", ArtifactKey::as_str);
        let sent = async {
            let request = ReqwestRequest::new(&self.bucket, path, call.command.clone()).await?;
            request.response().await
        };
        let answered = tokio::time::timeout_at(deadline, sent)
            .await
            .map_err(|_| Error::Timeout {
                context: context(),
                waited: call.limit,
            })?;
        let refusal = match answered {
            Ok(response) if response.status().is_success() => return Ok(Answer::Success(response)),
            Ok(response) => {
                let status = response.status().as_u16();
                let body = self.collect(response, MAX_ERROR_BODY, call.action, call.key).await;
                Refusal::read(status, &body.unwrap_or_default())
            }
            // The same, should the feature `fail-on-err` ever be on.
            Err(S3Error::HttpFailWithBody(status, body)) => Refusal::read(status, body.as_bytes()),
            Err(error) => return Err(broken(error, context())),
        };
        if refusal.passes() {
            return Err(refusal.into_error(context()));
        }
        Ok(Answer::Refused(refusal))
    }

    /// Reads a whole body of at most `limit` bytes; `patience` bounds each wait for more of it.
    pub(super) async fn collect(
        &self,
        mut response: Response,
        limit: usize,
        action: &'static str,
        key: Option<&ArtifactKey>,
    ) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = self.patiently(response.chunk(), action, key).await? {
            if body.len() + chunk.len() > limit {
                let reason = format!("its answer is longer than {limit} bytes");
                return Err(Error::Protocol {
                    context: self.context(action, key),
                    reason,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Waits for the next piece of a body.
    async fn patiently<E: Into<S3Error>>(
        &self,
        next: impl Future<Output = Result<Option<Bytes>, E>>,
        action: &'static str,
        key: Option<&ArtifactKey>,
    ) -> Result<Option<Bytes>, Error> {
        match tokio::time::timeout(self.patience, next).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(broken(error.into(), self.context(action, key))),
            Err(_) => Err(Error::Timeout {
                context: self.context(action, key),
                waited: self.patience,
            }),
        }
    }

    /// Whether the bucket exists and the credentials may use it.
    ///
    /// A HEAD request, not `Bucket::exists`: that lists all buckets of the account, which narrow credentials may not
    /// do, and fails to read the list that some stores send.
    pub(super) async fn bucket_is_there(&self, action: &'static str, repeat: Repeat) -> Result<bool, Error> {
        let call = Call {
            action,
            key: None,
            command: Command::HeadObject,
            repeat,
            limit: self.patience,
        };
        match self.ask(call).await? {
            Answer::Success(_) => Ok(true),
            Answer::Refused(refusal) if refusal.status == 404 => Ok(false),
            // The answer to HEAD has no body, hence no reason; the answer to a listing has one.
            Answer::Refused(_) => {
                let call = Call {
                    action,
                    key: None,
                    command: refusal::probe_listing(),
                    repeat,
                    limit: self.patience,
                };
                self.demand(call).await.map(|_| true)
            }
        }
    }

    /// What a 404 for an artifact means: `Ok` when only the artifact is missing.
    ///
    /// Some stores say "no such key" even when it is the bucket that does not exist.
    pub(super) async fn only_the_key_is_missing(&self, action: &'static str, key: &ArtifactKey) -> Result<(), Error> {
        if self.bucket_is_there(action, Repeat::Always).await? {
            Ok(())
        } else {
            Err(Error::BucketMissing {
                context: self.context(action, Some(key)),
            })
        }
    }
}

/// Names what broke on the way to the store or back.
pub(super) fn broken(error: S3Error, context: Box<Context>) -> Error {
    match error {
        S3Error::Reqwest(error) if !error.is_builder() => Error::Unreachable {
            before_sending: error.is_connect(),
            cause: innermost(&error),
            context,
        },
        S3Error::Io(error) => Error::Unreachable {
            before_sending: false,
            cause: innermost(&error),
            context,
        },
        S3Error::Credentials(error) => Error::Configuration {
            variable: "STUDIO_BRAIN_ARTIFACT_STORE_ACCESS_KEY",
            reason: error.to_string(),
        },
        other => Error::Protocol {
            reason: other.to_string(),
            context,
        },
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

//! The way to the brain over HTTP or HTTPS.
//!
//! Invariants: every call ends within its time limit; an answer larger than [`MOST_ANSWER_BYTES`] is not read; the token is
//! in no error and no log.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use brain_config::{ExposeSecret as _, SecretString, Url};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::transport::{Error, Transport};
use super::wire::{
    Claim, Claimed, ClaimedTask, Emit, Emitted, EmittedEvent, Finish, Finished, Heartbeat, Holding, Problem, Progress,
    Pulse, Registration, Release, Reservation, Reserve, Settle, Settled,
};
use crate::ids::{ActorId, SwarmId, TaskId};

/// The largest answer that is read: a claim of many tasks with large inputs.
pub const MOST_ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// Connections that nobody used for so long are closed, before the server does it.
const IDLE: Duration = Duration::from_secs(30);

/// Longest time for a connection to come up.
const CONNECT: Duration = Duration::from_secs(5);

/// Why a server cannot be reached this way.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The address is none.
    #[error("{0:?}: write an http:// or https:// URL without a query, such as http://127.0.0.1:8787")]
    Address(String),
    /// The token has characters that no header can hold.
    #[error("the token cannot be sent: it may hold visible ASCII characters only")]
    Token,
    /// Nobody can be trusted.
    #[error("https needs certificate authorities, and the operating system has none; SSL_CERT_FILE may name some")]
    NoAuthorities,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A brain that is reached over HTTP.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Url,
    swarm: Option<SwarmId>,
    token: Option<HeaderValue>,
    patience: Duration,
}

impl Http {
    /// The brain at this address, such as `http://127.0.0.1:8787`.
    ///
    /// # Errors
    /// [`Unusable`] says what is wrong with it.
    pub fn new(address: &str) -> Result<Self, Unusable> {
        let base: Url = address
            .parse()
            .ok()
            .filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .filter(|url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty())
            .ok_or_else(|| Unusable::Address(address.to_owned()))?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(base.scheme() == "https")?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            client,
            base,
            swarm: None,
            token: None,
            patience: Duration::from_secs(10),
        })
    }

    /// Works in this swarm instead of the server's own.
    #[must_use]
    pub fn swarm(mut self, swarm: SwarmId) -> Self {
        self.swarm = Some(swarm);
        self
    }

    /// Sends this token with every call: an API token with `tasks:work` and `agents:write`, or the one of `STUDIO_BRAIN_ADMIN_TOKEN`.
    ///
    /// # Errors
    /// When no header can hold it.
    pub fn token(mut self, token: &SecretString) -> Result<Self, Unusable> {
        let value = format!("Bearer {}", token.expose_secret());
        let mut value = HeaderValue::try_from(value).map_err(|_| Unusable::Token)?;
        value.set_sensitive(true);
        self.token = Some(value);
        Ok(self)
    }

    /// Waits for an answer this long instead of 10 seconds, and for a claim as much longer as the claim may wait.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn uri(&self, path: &[&str]) -> Result<Uri, Error> {
        let mut url = self.base.clone();
        // Segments are encoded one by one: an id may hold a slash. A URL with a host has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "swarm"]).extend(path);
        }
        if let Some(swarm) = &self.swarm {
            url.query_pairs_mut().append_pair("swarmId", swarm.as_str());
        }
        url.as_str().parse().map_err(protocol)
    }

    async fn post<Answer: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, Error> {
        self.post_within(path, body, self.patience).await
    }

    async fn post_within<Answer: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<Answer, Error> {
        let mut request = Request::new(Full::from(serde_json::to_vec(body).map_err(protocol)?));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri(path)?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        let late = |_| Error::Unavailable {
            reason: format!("no answer within {limit:?}"),
            untouched: false,
        };
        let (status, body) = tokio::time::timeout(limit, self.send(request)).await.map_err(late)??;
        answer(status, &body)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Error> {
        let response = self.client.request(request).await.map_err(|error| Error::Unavailable {
            reason: innermost(&error),
            untouched: error.is_connect(),
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| Error::Unavailable {
            reason: innermost(&*error),
            untouched: false,
        })?;
        Ok((status, body.to_bytes()))
    }
}

#[async_trait]
impl Transport for Http {
    async fn register(&self, registration: &Registration) -> Result<(), Error> {
        let _: IgnoredAny = self.post(&["agents"], registration).await?;
        Ok(())
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimedTask>, Error> {
        let limit = self.patience + Duration::from_millis(claim.wait_ms);
        let claimed: Claimed = self.post_within(&["tasks", "claim"], claim, limit).await?;
        Ok(claimed.tasks)
    }

    async fn heartbeat(&self, agent: &ActorId, tasks: &[Holding]) -> Result<Pulse, Error> {
        let heartbeat = Heartbeat { tasks: tasks.to_vec() };
        self.post(&["agents", agent.as_str(), "heartbeat"], &heartbeat).await
    }

    async fn finish(&self, finish: &Finish) -> Result<Vec<Settled>, Error> {
        let finished: Finished = self.post(&["tasks", "finish"], finish).await?;
        Ok(finished.results)
    }

    async fn progress(&self, task: &TaskId, progress: &Progress) -> Result<(), Error> {
        let _: IgnoredAny = self.post(&["tasks", task.as_str(), "progress"], progress).await?;
        Ok(())
    }

    async fn emit(&self, task: &TaskId, emit: &Emit) -> Result<Vec<EmittedEvent>, Error> {
        let emitted: Emitted = self.post(&["tasks", task.as_str(), "emit"], emit).await?;
        Ok(emitted.events)
    }

    async fn release(&self, task: &TaskId, release: &Release) -> Result<(), Error> {
        let _: IgnoredAny = self.post(&["tasks", task.as_str(), "release"], release).await?;
        Ok(())
    }

    async fn reserve(&self, task: &TaskId, reserve: &Reserve) -> Result<Reservation, Error> {
        self.post(&["tasks", task.as_str(), "reserve"], reserve).await
    }

    async fn settle(&self, task: &TaskId, settle: &Settle) -> Result<Reservation, Error> {
        self.post(&["tasks", task.as_str(), "settle"], settle).await
    }
}

/// The authorities of the operating system, or none where nothing is encrypted.
fn tls(needed: bool) -> Result<ClientConfig, Unusable> {
    let mut roots = RootCertStore::empty();
    if needed {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Unusable::NoAuthorities);
        }
    }
    // The provider is named here, so that no process-wide default has to be installed.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What an answer means. Whatever stands between the brain and here may answer too, without a problem document.
fn answer<Answer: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<Answer, Error> {
    if status.is_success() {
        return serde_json::from_slice(body).map_err(protocol);
    }
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        return Err(problem.into_error());
    }
    let reason = format!("status {status} without a problem document");
    let passes = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    Err(if passes {
        Error::Unavailable {
            reason,
            untouched: false,
        }
    } else {
        Error::Protocol { reason }
    })
}

fn protocol(error: impl std::fmt::Display) -> Error {
    Error::Protocol {
        reason: error.to_string(),
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn ids_stay_one_segment_and_the_swarm_is_asked_for() {
        let http = Http::new("http://127.0.0.1:1/base/").unwrap();
        let path = ["tasks", "a/../b c?", "emit"];
        assert_eq!(
            http.uri(&path).unwrap().to_string(),
            "http://127.0.0.1:1/base/api/swarm/tasks/a%2F..%2Fb%20c%3F/emit"
        );
        let http = http.swarm(SwarmId::new("a&b").unwrap());
        assert_eq!(
            http.uri(&["agents"]).unwrap().to_string(),
            "http://127.0.0.1:1/base/api/swarm/agents?swarmId=a%26b"
        );
    }

    #[test]
    fn an_address_that_cannot_work_is_refused() {
        for address in ["127.0.0.1:8787", "ftp://h", "http://h?a=b", "http://me:secret@h", ""] {
            assert!(Http::new(address).is_err(), "{address}");
        }
        let http = Http::new("http://h").unwrap();
        assert!(http.token(&"a\nb".into()).is_err());
    }

    #[test]
    fn an_answer_says_what_to_do() {
        let of = |status: u16, body: &str| {
            let answer: Result<IgnoredAny, Error> = answer(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            answer.unwrap_err()
        };
        let problem = |kind: &str| format!(r#"{{"type":"urn:studio-brain:problem:{kind}","status":1,"detail":"d"}}"#);
        assert!(matches!(of(409, &problem("lease-lost")), Error::LeaseLost { .. }));
        assert!(matches!(of(404, &problem("not-found")), Error::NotFound { .. }));
        assert!(of(409, &problem("budget-exhausted")).is_budget_exhausted());
        assert!(matches!(
            of(429, &problem("overloaded")),
            Error::Unavailable { untouched: true, .. }
        ));
        assert!(matches!(
            of(503, &problem("timeout")),
            Error::Unavailable { untouched: false, .. }
        ));
        assert!(matches!(of(401, &problem("unauthorized")), Error::Refused { .. }));
        assert!(of(502, "<html>").retryable());
        assert!(matches!(of(404, "<html>"), Error::Protocol { .. }));
        assert!(matches!(of(200, "<html>"), Error::Protocol { .. }));
    }
}

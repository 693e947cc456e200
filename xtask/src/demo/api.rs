//! The brain as a client sees it: events in small batches over HTTP, and heartbeats.

use std::time::Duration;

use anyhow::{Context as _, bail};
use brain_config::{ExposeSecret as _, SecretString, Url};
use brain_swarm::ids::SwarmId;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use super::meter::Meter;
use super::story::{Story, Way};

/// Events of one request. Small, as agents would send them.
const BATCH: usize = 10;
/// Requests at the same time.
const CONCURRENCY: usize = 8;
/// Attempts for one request when the server asks to come back later.
const ATTEMPTS: u32 = 8;
/// Time for one request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of the HTTP API.
pub(super) struct Api {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
}

impl Api {
    pub(super) fn new(url: &str, token: Option<SecretString>) -> anyhow::Result<Self> {
        let base: Url = url
            .parse()
            .with_context(|| format!("--url {url} is not a URL such as http://127.0.0.1:8787"))?;
        // The brain of the demo runs on this machine, where a proxy would only be in the way.
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .context("cannot set up HTTP")?;
        Ok(Self { http, base, token })
    }

    /// Fails when no brain answers, or one that would not hand out tasks.
    pub(super) async fn require_orchestrator(&self) -> anyhow::Result<()> {
        let asked = self.http.get(self.at(&["api", "status"])?).send().await;
        let answer = asked.with_context(|| {
            format!(
                "no brain answers at {}; start it with `cargo xtask dev-up`, or name another with --url",
                self.base
            )
        })?;
        let status: Value = answer
            .json()
            .await
            .with_context(|| format!("what answers at {} is not a brain", self.base))?;
        if status.get("orchestrator").is_none_or(Value::is_null) {
            bail!(
                "the brain at {} runs without its orchestrator, so nobody would hand out tasks; set \
                 STUDIO_BRAIN_SWARM_ORCHESTRATOR_ENABLED=true and run `cargo xtask dev-up` again",
                self.base
            );
        }
        Ok(())
    }

    /// Publishes all tasks that go over HTTP, several requests at a time.
    pub(super) async fn publish_all(&self, story: &Story, meter: &Meter) -> anyhow::Result<()> {
        let tasks = story.going(Way::Http);
        self.publish_batches(&tasks, |task| story.created(task), |count| meter.add(count))
            .await
    }

    /// Publishes an event for each item, in small batches, several requests at a time. The events are written when
    /// their request is sent.
    pub(super) async fn publish_batches<T>(
        &self,
        items: &[T],
        event: impl Fn(&T) -> String,
        stored: impl Fn(usize),
    ) -> anyhow::Result<()> {
        let requests = items.chunks(BATCH).map(async |batch| {
            let events: Vec<String> = batch.iter().map(&event).collect();
            self.publish(&events).await.map(|()| stored(batch.len()))
        });
        stream::iter(requests).buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Publishes events; when this returns they are stored. Every event has its id, so that trying again is safe.
    pub(super) async fn publish(&self, events: &[String]) -> anyhow::Result<()> {
        let body = format!("[{}]", events.join(","));
        let url = self.at(&["api", "swarm", "events"])?;
        let mut attempt = 1;
        loop {
            let request = self
                .http
                .post(url.clone())
                .header("content-type", "application/json")
                .body(body.clone());
            let later = match self.send(request).await {
                Ok(None) => return Ok(()),
                Ok(Some(later)) => later,
                // The answer may be lost after the events were stored; trying again finds out.
                Err(error) if attempt < ATTEMPTS => format!("{error:#}"),
                Err(error) => return Err(error),
            };
            if attempt == ATTEMPTS {
                bail!("the server did not take the events, tried {ATTEMPTS} times: {later}");
            }
            tokio::time::sleep(Duration::from_millis(100) * 2_u32.pow(attempt)).await;
            attempt += 1;
        }
    }

    /// Says that an agent is alive.
    pub(super) async fn heartbeat(&self, swarm: &SwarmId, agent: &str) -> anyhow::Result<()> {
        let url = self.at(&["api", "swarm", "agents", agent, "heartbeat"])?;
        let request = self.http.post(url).query(&[("swarmId", swarm.as_str())]);
        match self.send(request).await? {
            None => Ok(()),
            Some(later) => bail!(later),
        }
    }

    /// Sends a change; the text says why the server asks to come back later.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Option<String>> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let answer = request
            .send()
            .await
            .with_context(|| format!("{} does not answer", self.base))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(None);
        }
        let text = answer.text().await.unwrap_or_default();
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Ok(Some(text)),
            StatusCode::UNAUTHORIZED => {
                bail!("the brain wants a token: set STUDIO_BRAIN_ADMIN_TOKEN to the one it was started with")
            }
            _ => bail!("the brain refused ({status}): {text}"),
        }
    }

    fn at(&self, path: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => bail!("{} is not a URL that paths can follow", self.base),
        };
        Ok(url)
    }
}

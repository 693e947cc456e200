//! Notices of what waits for a decision, delivered to a webhook at least once.
//!
//! Invariants: a notice is stored in the transaction of what it is about, and stays until it was delivered or given up; a replica
//! that dies loses none, for what it took becomes due again; no connection to the database is held while a receiver is waited for;
//! when nothing is due, one look in [`Pace::look`] is all that is asked of the database.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use brain_config::Webhooks;
use brain_connectivity::{
    postgres::{self, Postgres},
    retry::Backoff,
};
use bytes::Bytes;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_postgres::Transaction;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    address::{Refused, Target},
    client::Client,
    executor::said,
};
use crate::{
    governance::executor::{Fence, NotSent, Passing},
    ids::TenantId,
    metric_names,
};

/// Attempts to deliver a notice, after which it is given up: within two days.
pub const MOST_ATTEMPTS: i32 = 24;
/// Notices that are on their way at the same time.
const BATCH: i64 = 8;
/// Longest error of an attempt that is stored, in characters.
const MOST_ERROR_CHARACTERS: usize = 500;
/// The shortest time between two looks that found nothing: what is due may be in the hands of another replica.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);

/// How often what is done.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The longest time without a look: a notice that another replica stored is found within it.
    pub look: Duration,
    /// How long one attempt may take.
    pub attempt: Duration,
    /// How long a notice belongs to whoever took it; longer than an attempt.
    pub lease: Duration,
    /// Between two attempts.
    pub backoff: Backoff,
}

impl Default for Pace {
    /// A look every 30 s, attempts of up to 15 s, the first again after about 5 s and later ones every three hours.
    fn default() -> Self {
        Self {
            look: Duration::from_secs(30),
            attempt: Duration::from_secs(15),
            lease: Duration::from_secs(60),
            backoff: Backoff {
                initial: Duration::from_secs(5),
                max: Duration::from_secs(3 * 60 * 60),
                factor: 3.0,
                jitter: 0.5,
            },
        }
    }
}

/// What the service works with.
#[derive(Debug)]
pub struct Options {
    /// Where notices are.
    pub postgres: Postgres,
    /// What sends them.
    pub client: Client,
    /// Where they go.
    pub target: Target,
    /// How often.
    pub pace: Pace,
}

impl Options {
    /// The options for these settings; nothing when they say of no webhook for notices.
    ///
    /// # Errors
    /// [`Refused`] when its URL cannot be that of a webhook.
    pub fn new(settings: &Webhooks, postgres: Postgres, client: Client) -> Result<Option<Self>, Refused> {
        let url = settings.approval_url.as_ref();
        let target = url.map(|url| Target::parse(url.as_str())).transpose()?;
        Ok(target.map(|target| Self {
            postgres,
            client,
            target,
            pace: Pace::default(),
        }))
    }
}

/// Stores notices and wakes the service; where there is no webhook for them it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Handle(Option<Arc<Notify>>);

impl Handle {
    /// The handle of an installation without a webhook for notices.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Whether notices are sent at all, so that nobody need compose one for nothing.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Stores a notice with this transaction, where there is a webhook for it, and says under which id it will be sent.
    /// [`Handle::ring`] after the commit sends it at once.
    ///
    /// # Errors
    /// The database said no, or nothing: the transaction must not be committed then.
    pub async fn queue(
        &self,
        transaction: &Transaction<'_>,
        tenant: &TenantId,
        body: &Value,
    ) -> Result<Option<Uuid>, postgres::Error> {
        match self.0 {
            Some(_) => queue(transaction, tenant, body).await.map(Some),
            None => Ok(None),
        }
    }

    /// Something was stored, and is committed by now.
    pub fn ring(&self) {
        if let Some(bell) = &self.0 {
            bell.notify_one();
        }
    }
}

/// Stores a notice with this transaction, to be sent with this body under the id that is returned.
///
/// # Errors
/// The database said no, or nothing: the transaction must not be committed then.
pub async fn queue(transaction: &Transaction<'_>, tenant: &TenantId, body: &Value) -> Result<Uuid, postgres::Error> {
    let id = Uuid::now_v7();
    let statement = "INSERT INTO brain_webhook_deliveries (delivery_id, tenant_id, body) VALUES ($1, $2, $3)";
    let body = body.to_string();
    transaction.execute(statement, &[&id, &tenant.as_str(), &body]).await?;
    Ok(id)
}

/// Delivers notices.
#[derive(Debug)]
pub struct Service {
    options: Options,
    bell: Arc<Notify>,
}

/// What one look did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How many notices it delivered.
    pub delivered: usize,
    /// When to look again.
    pub next_in: Duration,
}

impl Service {
    /// The service and the handle to it.
    #[must_use]
    pub fn new(options: Options) -> (Self, Handle) {
        let bell = Arc::new(Notify::new());
        let handle = Handle(Some(Arc::clone(&bell)));
        (Self { options, bell }, handle)
    }

    /// Runs until `shutdown`; then it waits for what is on its way, at most for one attempt. Whoever stops waiting for this loses
    /// nothing: what was not delivered becomes due again, here or elsewhere.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut delays = Backoff::default().delays();
        let mut away = false;
        while !shutdown.is_cancelled() {
            let wait = match self.look().await {
                Ok(look) => {
                    if std::mem::take(&mut away) {
                        tracing::info!("notices are delivered again");
                    }
                    delays.reset();
                    look.next_in
                }
                Err(error) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(error = %error, "notices cannot be delivered; this is tried again until it works");
                    }
                    delays.next().unwrap_or_default().max(SHORTEST_SLEEP)
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One look: tries to deliver what is due, and says when to look again. [`Service::run`] is this in a loop.
    ///
    /// # Errors
    /// The database said no, or nothing. What was not recorded becomes due again.
    pub async fn look(&self) -> Result<Look, postgres::Error> {
        let notices = self.take().await?;
        if notices.is_empty() {
            let next_in = self.next_due().await?.unwrap_or(self.options.pace.look);
            return Ok(Look {
                delivered: 0,
                next_in: next_in.clamp(SHORTEST_SLEEP, self.options.pace.look.max(SHORTEST_SLEEP)),
            });
        }
        let ended = join_all(notices.iter().map(|notice| self.deliver(notice))).await;
        let mut delivered = 0;
        for one in ended {
            delivered += usize::from(one?);
        }
        // There may be more; the next look says so.
        let next_in = Duration::ZERO;
        Ok(Look { delivered, next_in })
    }

    /// Takes what is due, for the time of a lease.
    async fn take(&self) -> Result<Vec<Notice>, postgres::Error> {
        let client = self.options.postgres.client().await?;
        let statement = client
            .prepare_cached(include_str!("../../sql/claim_deliveries.sql"))
            .await?;
        let rows = client
            .query(&statement, &[&BATCH, &self.options.pace.lease.as_secs_f64()])
            .await?;
        Ok(rows
            .iter()
            .map(|row| Notice {
                id: row.get("delivery_id"),
                tenant_id: TenantId::trusted(row.get("tenant_id")),
                body: row.get("body"),
                attempt: row.get("attempts"),
                created_at: row.get("created_at"),
            })
            .collect())
    }

    /// The time until the next notice becomes due, where there is one.
    async fn next_due(&self) -> Result<Option<Duration>, postgres::Error> {
        let client = self.options.postgres.client().await?;
        let statement = client
            .prepare_cached(include_str!("../../sql/select_next_delivery.sql"))
            .await?;
        let row = client.query_opt(&statement, &[]).await?;
        Ok(row
            .map(|row| row.get(0))
            .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
    }

    /// One attempt with one notice; says whether it was delivered.
    async fn deliver(&self, notice: &Notice) -> Result<bool, postgres::Error> {
        let Options {
            client, target, pace, ..
        } = &self.options;
        // An attempt that nobody came back from counts too.
        let sent = if notice.attempt > MOST_ATTEMPTS {
            Err("no attempt came to an end".to_owned())
        } else {
            let body = Bytes::from(notice.body.clone());
            let answer = client.send(target, (notice.id, body), &Open, pace.attempt).await;
            match answer {
                Ok(answer) if answer.status.is_success() => Ok(()),
                Ok(answer) => Err(said(answer.status)),
                Err(failure) => Err(failure.to_string()),
            }
        };
        match sent {
            Ok(()) => self.remove(notice, "delivered").await.map(|()| true),
            Err(reason) => self.failed(notice, &reason).await.map(|()| false),
        }
    }

    async fn failed(&self, notice: &Notice, reason: &str) -> Result<(), postgres::Error> {
        if notice.attempt >= MOST_ATTEMPTS {
            tracing::error!(
                delivery.id = %notice.id, tenant.id = notice.tenant_id.as_str(), attempt = notice.attempt,
                created_at = %notice.created_at, error = reason, "a notice could not be delivered and is given up"
            );
            return self.remove(notice, "given_up").await;
        }
        let retry = usize::try_from(notice.attempt - 1).unwrap_or_default();
        let wait = self.options.pace.backoff.delays().nth(retry).unwrap_or_default();
        tracing::warn!(
            delivery.id = %notice.id, tenant.id = notice.tenant_id.as_str(), attempt = notice.attempt,
            again_in_ms = wait.as_millis(), error = reason, "a notice could not be delivered and will be sent again"
        );
        metrics::counter!(metric_names::NOTICES, "outcome" => "failed").increment(1);
        let error: String = reason.replace('\0', " ").chars().take(MOST_ERROR_CHARACTERS).collect();
        let client = self.options.postgres.client().await?;
        // Not when somebody else has taken it in the meantime.
        let statement = client
            .prepare_cached(include_str!("../../sql/postpone_delivery.sql"))
            .await?;
        let tenant = notice.tenant_id.as_str();
        client
            .execute(
                &statement,
                &[&tenant, &notice.id, &notice.attempt, &wait.as_secs_f64(), &error],
            )
            .await?;
        Ok(())
    }

    async fn remove(&self, notice: &Notice, outcome: &'static str) -> Result<(), postgres::Error> {
        metrics::counter!(metric_names::NOTICES, "outcome" => outcome).increment(1);
        let client = self.options.postgres.client().await?;
        let statement = "DELETE FROM brain_webhook_deliveries WHERE tenant_id = $1 AND delivery_id = $2";
        let statement = client.prepare_cached(statement).await?;
        client
            .execute(&statement, &[&notice.tenant_id.as_str(), &notice.id])
            .await?;
        Ok(())
    }
}

/// A notice in the hands of this replica.
struct Notice {
    id: Uuid,
    tenant_id: TenantId,
    body: String,
    /// Which attempt this is, from 1.
    attempt: i32,
    created_at: Timestamp,
}

/// Notices tell and change nothing, so the kill switch does not keep them.
struct Open;

#[async_trait]
impl Fence for Open {
    async fn pass(&self) -> Result<Passing, NotSent> {
        Ok(Passing::new(()))
    }
}

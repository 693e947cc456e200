//! PostgreSQL: a pool of connections, and connections of one's own.
//!
//! Every wait is bounded: for a connection by the connection time-out, for a statement by the query time-out, which
//! the server itself enforces.

mod connector;
mod error;
mod probe;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use brain_config as config;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod};
use futures_util::stream::{Stream, StreamExt, poll_fn};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_postgres::{AsyncMessage, Client, Notification};

use self::connector::Connector;
pub(crate) use self::error::chain;
pub use self::error::{Error, Kind, classify, classify_sqlstate};
pub use self::probe::PostgresProbe;
use crate::metric_names as names;

/// Notifications that wait for their reader; when there are more, the connection is ended.
const NOTIFICATIONS_MAX: usize = 4_096;

/// A handle to the database; clones share one pool.
#[derive(Clone)]
pub struct Postgres {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    connector: Connector,
    address: String,
    pool_max: usize,
    connection_timeout: Duration,
    idle_timeout: Duration,
    reaper: OnceLock<AbortHandle>,
    /// Looked up once, because every statement begins here.
    waits: OnceLock<metrics::Histogram>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("address", &self.inner.address)
            .field("pool", &self.inner.pool.status())
            .finish()
    }
}

/// How the pool is used at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct PoolStatus {
    /// The most connections it may have.
    pub max: usize,
    /// Connections that exist.
    pub size: usize,
    /// Connections that nobody uses.
    pub idle: usize,
    /// Callers that wait for a connection.
    pub waiting: usize,
}

impl Postgres {
    /// Builds the pool; nothing is connected yet.
    ///
    /// # Errors
    /// `Configuration` when the TLS settings cannot be used.
    pub fn open(settings: &config::Postgres) -> Result<Self, Error> {
        let connector = Connector::new(settings)?;
        let manager = Manager::from_connect(
            connector.config().clone(),
            connector.clone(),
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        // Last in, first out lets what a quiet time does not need grow old and go.
        let pool = Pool::builder(manager)
            .max_size(settings.pool_max)
            .queue_mode(QueueMode::Lifo)
            .build()
            .map_err(|error| Error::Configuration {
                setting: "STUDIO_BRAIN_PG_POOL_MAX",
                reason: error.to_string(),
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                pool,
                connector,
                address: format!("{}:{}/{}", settings.host, settings.port, settings.database),
                pool_max: settings.pool_max,
                connection_timeout: settings.connection_timeout,
                idle_timeout: settings.idle_timeout,
                reaper: OnceLock::new(),
                waits: OnceLock::new(),
            }),
        })
    }

    /// A connection from the pool, made if need be; it goes back when dropped.
    ///
    /// # Errors
    /// `Timeout` when none is free or made within the connection time-out, `Unavailable` when the server cannot be
    /// reached, `Configuration` when it does not let us in.
    pub async fn client(&self) -> Result<Object, Error> {
        self.inner
            .reaper
            .get_or_init(|| spawn_reaper(self.inner.pool.clone(), self.inner.idle_timeout));
        let asked = Instant::now();
        let answer = tokio::time::timeout(self.inner.connection_timeout, self.inner.pool.get()).await;
        let failed = |reason: &'static str| metrics::counter!(names::POOL_FAILURES, "reason" => reason).increment(1);
        match answer {
            Ok(Ok(client)) => {
                let waits = self
                    .inner
                    .waits
                    .get_or_init(|| metrics::histogram!(names::POOL_WAIT_SECONDS));
                waits.record(asked.elapsed().as_secs_f64());
                Ok(client)
            }
            Ok(Err(PoolError::Backend(error))) => {
                failed(names::REFUSED);
                Err(self.located(error.into()))
            }
            Ok(Err(error)) => {
                failed(names::REFUSED);
                Err(Error::Unavailable {
                    reason: format!("{error} ({})", self.inner.address),
                    sqlstate: None,
                })
            }
            Err(_) => {
                failed(names::TIMEOUT);
                Err(self.connection_timed_out())
            }
        }
    }

    /// A connection of its own, outside the pool, and the task that drives it and ends with it.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub async fn dedicated(&self) -> Result<(Client, JoinHandle<()>), Error> {
        let (client, link) = self.connect().await?;
        Ok((client, tokio::spawn(connector::drive(link))))
    }

    /// A connection of its own for `LISTEN`, and what it is notified of.
    ///
    /// The receiver ends when the connection does; whoever listens then connects again and looks for what it missed.
    /// A reader that lets more than a few thousand notifications pile up is treated the same way, so nothing is lost
    /// in silence.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub async fn dedicated_with_notifications(&self) -> Result<(Client, mpsc::Receiver<Notification>), Error> {
        let (client, mut link) = self.connect().await?;
        let (sender, receiver) = mpsc::channel(NOTIFICATIONS_MAX);
        let messages = poll_fn(move |context| link.poll_message(context));
        tokio::spawn(forward(messages, sender));
        Ok((client, receiver))
    }

    /// How the pool is used at this moment.
    #[must_use]
    pub fn pool_status(&self) -> PoolStatus {
        let status = self.inner.pool.status();
        PoolStatus {
            max: status.max_size,
            size: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }

    /// Sets the gauges of the pool to how it is used at this moment. Asks nobody.
    pub fn measure(&self) {
        let PoolStatus {
            max,
            size,
            idle,
            waiting,
        } = self.pool_status();
        for (name, value) in [
            (names::POOL_MAX, max),
            (names::POOL_SIZE, size),
            (names::POOL_IDLE, idle),
            (names::POOL_WAITING, waiting),
        ] {
            #[allow(clippy::cast_precision_loss, reason = "a pool has few connections")]
            metrics::gauge!(name).set(value as f64);
        }
    }

    /// Host, port and database, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// Closes the pool: idle connections go at once, used ones when they come back, and new ones are refused.
    pub fn close(&self) {
        self.inner.pool.close();
    }

    async fn connect(&self) -> Result<(Client, connector::Link), Error> {
        let connecting = self.inner.connector.connect();
        match tokio::time::timeout(self.inner.connection_timeout, connecting).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(error)) => Err(self.located(error.into())),
            Err(_) => Err(self.connection_timed_out()),
        }
    }

    /// Adds the address to an error of connecting.
    fn located(&self, error: Error) -> Error {
        let address = &self.inner.address;
        match error {
            Error::Unavailable { reason, sqlstate } => Error::Unavailable {
                reason: format!("{reason} ({address}, from PGHOST and PGPORT)"),
                sqlstate,
            },
            Error::Configuration { setting, reason } => Error::Configuration {
                setting,
                reason: format!("{reason} ({address})"),
            },
            other => other,
        }
    }

    fn connection_timed_out(&self) -> Error {
        let status = self.pool_status();
        let (reason, setting) = if status.idle == 0 && status.size >= self.inner.pool_max {
            (
                format!("all {} connections were in use", self.inner.pool_max),
                "STUDIO_BRAIN_PG_POOL_MAX, STUDIO_BRAIN_PG_CONNECTION_TIMEOUT_MS",
            )
        } else {
            (
                format!("no connection to {}", self.inner.address),
                "STUDIO_BRAIN_PG_CONNECTION_TIMEOUT_MS",
            )
        };
        Error::Timeout {
            reason: format!("{reason} for {:?}", self.inner.connection_timeout),
            setting,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(reaper) = self.reaper.get() {
            reaper.abort();
        }
    }
}

/// Closes connections that nobody used for `idle_timeout`.
fn spawn_reaper(pool: Pool, idle_timeout: Duration) -> AbortHandle {
    let reaper = async move {
        let mut interval = tokio::time::interval((idle_timeout / 2).max(Duration::from_millis(500)));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !pool.is_closed() {
            interval.tick().await;
            pool.retain(|_, metrics| metrics.last_used() < idle_timeout);
        }
    };
    tokio::spawn(reaper).abort_handle()
}

/// Drives a listening connection, handing on its notifications until it or the reader ends.
async fn forward(
    messages: impl Stream<Item = Result<AsyncMessage, tokio_postgres::Error>>,
    sender: mpsc::Sender<Notification>,
) {
    let mut messages = std::pin::pin!(messages);
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => {
                match sender.try_send(notification) {
                    Ok(()) => {}
                    // The reader has no use for notifications, but may still use the client.
                    Err(mpsc::error::TrySendError::Closed(_)) => {}
                    Err(mpsc::error::TrySendError::Full(_)) => {
                        tracing::warn!(
                            notifications.max = NOTIFICATIONS_MAX,
                            "postgres listener fell behind, ending its connection"
                        );
                        return;
                    }
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(error = %chain(&error), "postgres connection ended");
                return;
            }
        }
    }
}

//! Redis or Valkey, standalone or cluster: one shared connection for commands, and connections of their own for
//! blocking reads.
//!
//! A client connects in the background and comes back by itself, for ever. While the server is known to be away
//! commands are refused at once; nobody waits, and nothing piles up that would be sent much later. A command whose
//! connection is lost before the answer fails and is not sent again, since it may have taken effect.

mod client;
mod error;
mod link;
mod probe;

use std::sync::Arc;
use std::time::Duration;

use brain_config as config;
use fred::clients::Client;
use fred::interfaces::ClientLike;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::error::Error;
use self::link::Link;
pub use self::probe::RedisProbe;

/// The longest block that a read on a dedicated connection may ask for, which is the longest poll interval that the
/// configuration allows; the answer may take the command time-out more.
pub const BLOCK_MAX: Duration = Duration::from_secs(10);

/// How long [`Redis::close`] waits for connections to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A handle to the server or cluster; clones share one connection.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    refusing: Client,
    link: watch::Receiver<Link>,
    settings: config::Redis,
    driver: fred::types::config::Config,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("address", &self.address())
            .field("link", &*self.inner.link.borrow())
            .finish()
    }
}

impl Redis {
    /// Starts to connect in the background and returns at once. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// `Configuration` when the settings cannot be used; a server that is away is no error here.
    pub fn open(settings: &config::Redis) -> Result<Self, Error> {
        let driver = client::driver_config(settings)?;
        let client = client::build(&driver, settings, settings.command_timeout)?;
        let refusing = client::refusing(&driver)?;
        let full = refusing.clone();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (sender, link) = watch::channel(Link::Connecting);
        tasks.spawn(link::supervise(
            client.clone(),
            "commands",
            true,
            stop.clone(),
            Arc::new(sender),
        ));
        // Takes the only place in its queue.
        tasks.spawn(async move { full.ping::<()>(None).await });
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                refusing,
                link,
                settings: settings.clone(),
                driver,
                stop,
                tasks,
            }),
        })
    }

    /// The shared client. Its commands are pipelined over one connection, so none of them may block.
    ///
    /// Take it anew for each piece of work: while the server is known to be away, what is given here refuses every
    /// command at once, as unavailable.
    #[must_use]
    pub fn commands(&self) -> &Client {
        match *self.inner.link.borrow() {
            Link::Connecting | Link::Up => &self.inner.client,
            Link::Down(_) => &self.inner.refusing,
        }
    }

    /// A new client with a connection of its own, for reads that block for up to [`BLOCK_MAX`].
    ///
    /// It connects in the background, and a read waits for that. Each read ends by itself: with its answer, when its
    /// connection is lost, or a command time-out after the longest block. So leave the waiting to it: a read that is
    /// abandoned is still carried out, and what it was given is then pending for its consumer.
    ///
    /// `quit` ends the client, as does closing or dropping the last handle to this `Redis`.
    ///
    /// # Errors
    /// `Configuration` when the settings cannot be used.
    pub fn dedicated(&self) -> Result<Client, Error> {
        let inner = &self.inner;
        let timeout = BLOCK_MAX + inner.settings.command_timeout;
        let client = client::build(&inner.driver, &inner.settings, timeout)?;
        let (sender, _) = watch::channel(Link::Connecting);
        inner.tasks.spawn(link::supervise(
            client.clone(),
            "dedicated",
            false,
            inner.stop.clone(),
            Arc::new(sender),
        ));
        Ok(client)
    }

    /// Asks the server for an echo. Fails at once when the connection is known to be down.
    ///
    /// # Errors
    /// `Unavailable` with the reason, or `Timeout`.
    pub async fn ping(&self) -> Result<(), Error> {
        let mut link = self.inner.link.clone();
        let answer = self.inner.client.ping::<String>(None);
        tokio::select! {
            answer = answer => answer.map(drop).map_err(|error| self.located(error.into())),
            error = down(&mut link) => Err(self.located(error)),
        }
    }

    /// Whether the settings name a cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.inner.settings.cluster
    }

    /// Host and port as configured, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.inner.settings.host, self.inner.settings.port)
    }

    /// Ends all connections, the dedicated ones too, and waits for that for a short while.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        let _late = tokio::time::timeout(CLOSE_TIMEOUT, self.inner.tasks.wait()).await;
    }

    /// Adds the address to an error of the connection.
    fn located(&self, error: Error) -> Error {
        let address = self.address();
        match error {
            Error::Unavailable { reason } => Error::Unavailable {
                reason: format!("{reason} ({address}, from REDIS_HOST and REDIS_PORT)"),
            },
            Error::Timeout { reason } => Error::Timeout {
                reason: format!("{reason} ({address})"),
            },
            Error::Configuration { setting, reason } => Error::Configuration {
                setting,
                reason: format!("{reason} ({address})"),
            },
            other => other,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits until the server is known to be away, and says why.
async fn down(link: &mut watch::Receiver<Link>) -> Error {
    let gone = link.wait_for(|link| matches!(link, Link::Down(_))).await;
    match gone.as_deref() {
        Ok(Link::Down(error)) => error.clone(),
        _ => Error::Unavailable {
            reason: "the client is closed".to_owned(),
        },
    }
}

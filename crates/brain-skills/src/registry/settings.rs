//! How a registry is read: limits, times, proxies and the clock.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::source::Proxy;

/// How a registry is read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The longest time to connect.
    pub connect: Duration,
    /// The longest time for one try to read one document.
    pub request: Duration,
    /// The longest time for one try to read one archive.
    pub archive: Duration,
    /// The longest time for one refresh as a whole.
    pub refresh: Duration,
    /// How often a file is asked for before it is given up; at least once.
    pub tries: u32,
    /// The longest time to wait for another process that changes the same trusted state.
    pub patience: Duration,
    /// The proxies; without any, the registry is reached directly.
    pub proxy: Option<Proxy>,
    /// Further certificate authorities, as PEM.
    pub authorities: Vec<String>,
    /// Whether `http://` may go to other machines.
    pub plain_http: bool,
    /// The largest sizes.
    pub limits: Limits,
    /// What time it is.
    pub clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(30),
            archive: Duration::from_secs(600),
            refresh: Duration::from_secs(300),
            tries: 3,
            patience: Duration::from_secs(60),
            proxy: None,
            authorities: Vec::new(),
            plain_http: false,
            limits: Limits::default(),
            clock: Clock::default(),
        }
    }
}

/// The largest sizes of files, in bytes.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each field is named for its file")]
pub struct Limits {
    pub root: u64,
    pub timestamp: u64,
    pub snapshot: u64,
    pub targets: u64,
    pub publisher: u64,
    pub revoked: u64,
    pub archive: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            root: MIB / 2,
            timestamp: MIB / 64,
            snapshot: MIB,
            targets: 4 * MIB,
            publisher: MIB,
            revoked: MIB,
            archive: 64 * MIB,
        }
    }
}

/// What time it is: the machine's clock, or another one in tests.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks this function.
    pub fn of(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::of(Timestamp::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

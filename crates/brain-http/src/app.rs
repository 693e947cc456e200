//! What all requests of a server share.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use brain_config::Server;
use brain_connectivity::{health::Health, health::Report};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::{gate::Gate, limits::Usage, sessions::SessionSecret},
    admission::Admission,
    body,
    identity::Identities,
    metrics::Metrics,
    problem::Problem,
    routes,
    services::Services,
};

mod rounds;

use self::rounds::Rounds;

/// What a request may take beyond all its limits, because a busy machine is late.
const ANSWER_GRACE: Duration = Duration::from_secs(10);

/// The state behind every handler.
pub(crate) struct App {
    pub(crate) services: Services,
    pub(crate) admission: Admission,
    pub(crate) identities: Identities,
    pub(crate) metrics: Metrics,
    pub(crate) body_limits: body::Limits,
    pub(crate) request_timeout: Duration,
    pub(crate) gate: Gate,
    /// What callers use of what they may.
    pub(crate) usage: Usage,
    /// Changes that go on when their caller hangs up.
    pub(crate) detached: TaskTracker,
    /// Cancelled when the server stops: nobody waits for what may come later.
    pub(crate) draining: CancellationToken,
    /// Places for event streams.
    pub(crate) streams: Arc<Semaphore>,
    /// Places for exports of the audit trail, each of which holds a snapshot.
    pub(crate) exports: Arc<Semaphore>,
    /// Idempotency keys that were taken.
    keys: AtomicU64,
    forms: OnceLock<SessionSecret>,
    health: Rounds<Arc<Report>>,
    readiness: Rounds<Arc<Report>>,
}

impl App {
    /// Event streams that are open at the same time, at most.
    pub(crate) const MAX_STREAMS: usize = 4096;
    /// Exports that are under way at the same time, at most.
    pub(crate) const MAX_EXPORTS: usize = 4;

    pub(crate) fn new(config: &Server, services: Services) -> Self {
        let gate = Gate::new(config, services.postgres.clone());
        Self {
            services,
            admission: Admission::new(config),
            identities: Identities::new(),
            metrics: Metrics::new(),
            body_limits: body::Limits {
                bytes: config.body_limit,
                time: config.body_timeout,
            },
            request_timeout: config.request_timeout,
            gate,
            usage: Usage::default(),
            detached: TaskTracker::new(),
            draining: CancellationToken::new(),
            streams: Arc::new(Semaphore::new(Self::MAX_STREAMS)),
            exports: Arc::new(Semaphore::new(Self::MAX_EXPORTS)),
            keys: AtomicU64::new(0),
            forms: OnceLock::new(),
            health: Rounds::new(),
            readiness: Rounds::new(),
        }
    }

    /// Runs a change to its end, even when the caller hangs up or the request times out meanwhile.
    ///
    /// # Errors
    /// Those of the change; a panic in it is a problem too.
    pub(crate) async fn to_the_end<T, F>(&self, change: F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, Problem>> + Send + 'static,
        T: Send + 'static,
    {
        match self.detached.spawn(change).await {
            Ok(result) => result,
            Err(error) => Err(Problem::internal(error)),
        }
    }

    /// After this time nobody works on a request any more.
    pub(crate) fn longest_answer(&self) -> Duration {
        self.request_timeout + self.body_limits.time + routes::MAX_PATIENCE + ANSWER_GRACE
    }

    /// What the forms of the dashboard are made with where nobody logs in: another one in each process.
    ///
    /// # Errors
    /// A problem when the operating system has no random bytes to give.
    pub(crate) fn form_secret(&self) -> Result<&SessionSecret, Problem> {
        if self.forms.get().is_none() {
            // Whoever comes first decides.
            let _ = self.forms.set(SessionSecret::generate()?);
        }
        self.forms
            .get()
            .ok_or_else(|| Problem::internal("the secret of the forms is gone"))
    }

    /// Counts an idempotency key; gives how many there were.
    pub(crate) fn count_key(&self) -> u64 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    /// The health of every dependency, asked after this call began.
    pub(crate) async fn health(&self) -> Arc<Report> {
        self.health.run(|| ask(&self.services.health)).await
    }

    /// The health of what must work before requests may come, asked after this call began.
    pub(crate) async fn readiness(&self) -> Arc<Report> {
        self.readiness.run(|| ask(&self.services.readiness)).await
    }
}

async fn ask(health: &Health) -> Arc<Report> {
    Arc::new(health.report().await)
}

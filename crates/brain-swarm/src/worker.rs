//! Workers: programs that claim tasks, run a handler for each, and say how it ended.
//!
//! ```no_run
//! # #[cfg(feature = "worker-http")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use brain_swarm::{ids::ActorId, worker::{Failure, Job, Options, Worker, http::Http}};
//! use tokio_util::sync::CancellationToken;
//!
//! let transport = Http::new("http://127.0.0.1:8787")?;
//! let options = Options::new(ActorId::new("counter-1")?);
//! let worker = Worker::new(transport, options, async |job: Job| {
//!     let text = job.inputs["text"].as_str().ok_or_else(|| Failure::fatal("inputs.text is missing"))?;
//!     Ok(serde_json::json!({ "words": text.split_whitespace().count() }))
//! });
//! worker.run(CancellationToken::new()).await?;
//! # Ok(()) }
//! ```
//!
//! Invariants: a handler is told to stop no later than the database gives its task away (leases are counted from before
//! the request was sent, on a monotonic clock); what a handler did is reported once the brain answers, or not at all
//! when the lease is over by then; a worker that stops costs no attempt.

mod attempt;
mod claimer;
pub mod direct;
mod failure;
#[cfg(feature = "worker-http")]
pub mod http;
mod job;
mod keeper;
mod leases;
mod link;
mod report;
mod schedule;
#[cfg(test)]
mod tests;
pub mod transport;
pub mod wire;

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{claimer::Claimer, link::Link};
pub use self::{
    failure::Failure,
    job::Job,
    transport::{Error, Transport},
};
use crate::ids::{ActorId, RunId};

/// The most results of one `finish`.
pub const MOST_RESULTS: usize = 1000;

/// What to do with a task.
///
/// Any async closure or function from [`Job`] to outputs (an object) or [`Failure`] is a handler. It should look at
/// [`Job::lease`] where it takes long. A panic is a failure that is tried again.
pub trait Handler: Send + Sync + 'static {
    /// Works on one task.
    fn handle(&self, job: Job) -> impl Future<Output = Result<Value, Failure>> + Send;
}

impl<F, Work> Handler for F
where
    F: Fn(Job) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<Value, Failure>> + Send,
{
    fn handle(&self, job: Job) -> impl Future<Output = Result<Value, Failure>> + Send {
        self(job)
    }
}

/// Who a worker is and how it works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name in the swarm. Two workers with one name would each lose the other's tasks.
    pub agent_id: ActorId,
    /// The run that it works for, where it is only one.
    pub run_id: Option<RunId>,
    /// What it is: tasks can ask for a role.
    pub role: String,
    /// What it can do: tasks can ask for a capability.
    pub capabilities: Vec<String>,
    /// How many tasks it works on at a time.
    pub concurrency: NonZeroUsize,
    /// For how long a task is its own unless a heartbeat renews it: how soon somebody else gets it after a crash.
    pub lease: Duration,
    /// How long one claim waits for tasks; at most a third of the lease is used.
    pub wait: Duration,
    /// The longest time between heartbeats. It must be well below `STUDIO_BRAIN_SWARM_AGENT_TIMEOUT_MS`.
    pub heartbeat: Duration,
    /// How long handlers may go on after the worker was told to stop.
    pub grace: Duration,
    /// How long a handler may take to end after its token was cancelled, before it is dropped.
    pub cleanup: Duration,
}

impl Options {
    /// One task at a time, leases of 30 seconds, a grace of 30 seconds.
    #[must_use]
    pub fn new(agent_id: ActorId) -> Self {
        Self {
            agent_id,
            run_id: None,
            role: "worker".to_owned(),
            capabilities: Vec::new(),
            concurrency: NonZeroUsize::MIN,
            lease: Duration::from_secs(30),
            wait: Duration::from_secs(10),
            heartbeat: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            cleanup: Duration::from_secs(5),
        }
    }
}

/// A worker, not running yet.
pub struct Worker<H> {
    link: Arc<Link>,
    handler: Arc<H>,
}

impl<H: Handler> Worker<H> {
    /// A worker that reaches the brain by `transport` and gives each task to `handler`.
    pub fn new(transport: impl Transport, options: Options, handler: H) -> Self {
        Self {
            link: Arc::new(Link::new(Arc::new(transport), options)),
            handler: Arc::new(handler),
        }
    }

    /// Works until `shutdown` is cancelled and what was begun is done or given back.
    ///
    /// That takes at most [`grace`](Options::grace) and [`cleanup`](Options::cleanup), and while the brain is away at most
    /// a lease more. While it is away the worker waits for it. Dropping the future drops the handlers where they are;
    /// their leases then run out.
    ///
    /// # Errors
    /// When the brain refuses the registration.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { link, handler } = self;
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            joined = link.join() => joined?,
        }
        tracing::info!(agent.id = %link.options.agent_id, "worker joined");
        let (sender, reports) = mpsc::channel(link.options.concurrency.get().min(MOST_RESULTS));
        let claimer = Claimer {
            link: Arc::clone(&link),
            handler,
            reports: sender,
            stop: shutdown,
            stopping: CancellationToken::new(),
        };
        // The reports end when the claimer and all that it started are gone.
        let work = futures_util::future::join(claimer.run(), report::run(&link, reports));
        tokio::select! {
            _ = work => {}
            () = keeper::end_leases(&link) => {}
            () = keeper::beat(&link) => {}
        }
        tracing::info!(agent.id = %link.options.agent_id, "worker stopped");
        Ok(())
    }
}

//! Programs that are kept warm, and the one way in which skills are called.
//!
//! Invariants: a worker serves one digest, one tenant and one set of environment, hosts and limits, and one call at a time; no more
//! processes run than may, idle ones included; a worker that failed, was given up, or was retired is never asked again; what is
//! revoked is not started and not reused, even by calls that were under way.

mod key;
mod settings;
mod shelf;
mod worker;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

pub use self::settings::Settings;
use self::{key::Key, shelf::Shelf, worker::Worker};
use super::{
    Answer, Call, Skill,
    backoff::Failures,
    error::{Error, Failure},
    peer::Stop,
    terms::Terms,
};
use crate::{digest::Digest, launch::Launch};

/// Calls skills. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    launch: Arc<dyn Launch>,
    settings: Settings,
    processes: Arc<Semaphore>,
    /// Something came to the shelf, which a waiting call may take or evict.
    shelved: Notify,
    state: Mutex<State>,
}

struct State {
    closed: bool,
    revoked: HashSet<Digest>,
    shelf: Shelf,
    failures: Failures<Key>,
    under_way: HashMap<u64, UnderWay>,
    last_call: u64,
}

/// A call that is under way.
struct UnderWay {
    key: Key,
    /// Its worker is not kept.
    spent: bool,
    kill: CancellationToken,
}

/// What to do with calls that are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtWork {
    /// They may end, and their workers go then.
    Finish,
    /// Their workers are killed at once.
    Kill,
}

impl Pool {
    /// A pool without any worker.
    #[must_use]
    pub fn new(launch: Arc<dyn Launch>, settings: Settings) -> Self {
        let state = State {
            closed: false,
            revoked: HashSet::new(),
            shelf: Shelf::default(),
            failures: Failures::new(settings.backoff),
            under_way: HashMap::new(),
            last_call: 0,
        };
        Self(Arc::new(Inner {
            launch,
            processes: Arc::new(Semaphore::new(settings.processes)),
            settings,
            shelved: Notify::new(),
            state: Mutex::new(state),
        }))
    }

    /// Calls a skill for a tenant. Dropping the future kills what it started.
    ///
    /// # Errors
    /// [`Failure`], which says which limit was hit or what was wrong.
    pub async fn call(&self, skill: &Skill, tenant: &str, call: &Call, terms: &Terms<'_>) -> Result<Answer, Failure> {
        let bytes = call.payload.to_string().len() + call.command.len();
        let limit = self.0.settings.frame_bytes;
        if bytes > limit {
            return Err(Error::PayloadTooLarge { bytes, limit }.into());
        }
        let key = Key::new(skill, tenant);
        let entry = self.enter(&key)?;
        let (worker, warm) = self.worker(skill, &key, &entry, terms.deadline, terms.cancel).await?;
        // It may have been revoked while the worker was made ready.
        self.lock().may_run(&key)?;
        let done = worker.call(call, terms, &entry.kill).await;
        let (error, stderr) = match done {
            Ok((worker, result)) => {
                let answer = Answer {
                    value: serde_json::Value::Null,
                    warm,
                    enforced: worker.enforced(),
                    tools: worker.tools(),
                };
                self.lock().failures.succeeded(&key);
                self.shelve(worker, &key, &entry);
                return match result {
                    Ok(value) => Ok(Answer { value, ..answer }),
                    Err(error) => Err(error.into()),
                };
            }
            Err(failure) => failure.into_parts(),
        };
        Err(self.failed(&key, error, stderr))
    }

    /// Forbids a digest for as long as this pool lives, and kills its workers.
    pub fn revoke(&self, digest: Digest, at_work: AtWork) {
        self.lock().revoked.insert(digest);
        self.retire(at_work, |other, _| *other == digest);
    }

    /// Kills the idle workers of these digests and tenants, and keeps none of those that are at work.
    pub fn retire(&self, at_work: AtWork, mut which: impl FnMut(&Digest, &str) -> bool) {
        let mut state = self.lock();
        let removed = state.shelf.remove_where(|key| which(key.digest(), key.tenant()));
        for call in state.under_way.values_mut() {
            if which(call.key.digest(), call.key.tenant()) {
                call.spent = true;
                if at_work == AtWork::Kill {
                    call.kill.cancel();
                }
            }
        }
        drop(state);
        // Killing happens here, outside of the lock.
        drop(removed);
    }

    /// How many workers are idle.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.lock().shelf.len()
    }

    /// How many programs run, idle ones included.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0
            .settings
            .processes
            .saturating_sub(self.0.processes.available_permits())
    }

    /// Takes no further calls, lets those under way end until `deadline`, kills the rest, and waits until no process is left.
    /// Whether none is.
    pub async fn close(&self, deadline: Instant) -> bool {
        let idle = {
            let mut state = self.lock();
            state.closed = true;
            state.shelf.remove_where(|_| true)
        };
        drop(idle);
        self.retire(AtWork::Finish, |_, _| true);
        let all = u32::try_from(self.0.settings.processes).unwrap_or(u32::MAX);
        if timeout_at(deadline, self.0.processes.acquire_many(all)).await.is_ok() {
            return true;
        }
        self.retire(AtWork::Kill, |_, _| true);
        let killed = Instant::now() + Duration::from_secs(10);
        timeout_at(killed, self.0.processes.acquire_many(all)).await.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a call, as long as it may be made at all.
    fn enter(&self, key: &Key) -> Result<Entry, Error> {
        let mut state = self.lock();
        state.may_run(key)?;
        state.last_call += 1;
        let id = state.last_call;
        let kill = CancellationToken::new();
        let call = UnderWay {
            key: key.clone(),
            spent: false,
            kill: kill.clone(),
        };
        state.under_way.insert(id, call);
        Ok(Entry {
            pool: self.clone(),
            id,
            kill,
        })
    }

    /// A warm worker, or a new one when there is room for it.
    async fn worker(
        &self,
        skill: &Skill,
        key: &Key,
        entry: &Entry,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<(Worker, bool), Failure> {
        let settings = &self.0.settings;
        let permit = loop {
            // From here on nothing that comes to the shelf is missed.
            let mut shelved = std::pin::pin!(self.0.shelved.notified());
            shelved.as_mut().enable();
            while let Some(mut worker) = self.take(key) {
                if worker.may_serve(settings) && worker.is_quiet().await {
                    return Ok((worker, true));
                }
            }
            if let Some((failures, remaining)) = self.lock().failures.waits(key, std::time::Instant::now()) {
                return Err(Error::BackingOff { failures, remaining }.into());
            }
            if let Ok(permit) = Arc::clone(&self.0.processes).try_acquire_owned() {
                break permit;
            }
            let evicted = self.lock().shelf.evict();
            drop(evicted);
            tokio::select! {
                permit = Arc::clone(&self.0.processes).acquire_owned() => match permit {
                    Ok(permit) => break permit,
                    Err(_) => return Err(Error::Closed.into()),
                },
                () = shelved => {}
                () = cancel.cancelled() => return Err(Error::Cancelled.into()),
                () = entry.kill.cancelled() => return Err(self.why_killed(key).into()),
                () = tokio::time::sleep_until(deadline) => {
                    return Err(Error::Exhausted { running: settings.processes }.into());
                }
            }
        };
        // Nothing is started that was revoked while this waited.
        self.lock().may_run(key)?;
        match self.start(skill, permit, entry, deadline, cancel).await {
            Ok(worker) => Ok((worker, false)),
            Err(failure) => {
                let (error, stderr) = failure.into_parts();
                Err(self.failed(key, error, stderr))
            }
        }
    }

    async fn start(
        &self,
        skill: &Skill,
        permit: OwnedSemaphorePermit,
        entry: &Entry,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<Worker, Failure> {
        let settings = &self.0.settings;
        let ready = Instant::now() + settings.start_time;
        let launched = tokio::select! {
            launched = self.0.launch.launch(&skill.program) => launched.map_err(Error::Launch)?,
            () = cancel.cancelled() => return Err(Error::Cancelled.into()),
            () = entry.kill.cancelled() => return Err(Error::Cancelled.into()),
            () = tokio::time::sleep_until(ready.min(deadline)) => {
                return Err(if ready < deadline { Error::Start(settings.start_time) } else { Error::Deadline }.into());
            }
        };
        let started = Worker::start(
            launched,
            skill,
            settings,
            permit,
            ready.min(deadline),
            cancel,
            &entry.kill,
        )
        .await;
        started.map_err(|failure| match failure.into_parts() {
            (Error::Deadline, stderr) if ready < deadline => Failure::new(Error::Start(settings.start_time), stderr),
            (error, stderr) => Failure::new(error, stderr),
        })
    }

    fn take(&self, key: &Key) -> Option<Worker> {
        self.lock().shelf.take(key)
    }

    /// Keeps a worker for the next call, as far as it may be kept.
    fn shelve(&self, worker: Worker, key: &Key, entry: &Entry) {
        let settings = &self.0.settings;
        if !worker.may_serve(settings) {
            return;
        }
        let removed = {
            let mut state = self.lock();
            let spent = state.under_way.get(&entry.id).is_none_or(|call| call.spent);
            if spent || state.may_run(key).is_err() {
                drop(state);
                return drop(worker);
            }
            let (tree, expires) = (worker.tree(), worker.expires(settings));
            let (id, gone, removed) = state.shelf.put(key.clone(), worker, settings);
            let pool = Arc::downgrade(&self.0);
            tokio::spawn(async move {
                tokio::select! {
                    () = gone.cancelled() => return,
                    _ = tree.ended() => {}
                    () = tokio::time::sleep_until(expires) => {}
                }
                if let Some(inner) = pool.upgrade() {
                    let expired = Pool(inner).lock().shelf.remove(id);
                    drop(expired);
                }
            });
            removed
        };
        drop(removed);
        self.0.shelved.notify_one();
    }

    fn failed(&self, key: &Key, error: Error, stderr: String) -> Failure {
        let mut state = self.lock();
        if error.is_crash() {
            state.failures.failed(key, std::time::Instant::now());
        }
        // A worker that was killed because of this says only that it was killed.
        let error = match (error, state.may_run(key)) {
            (Error::Cancelled, Err(why)) => why,
            (error, _) => error,
        };
        drop(state);
        Failure::new(error, stderr)
    }

    fn why_killed(&self, key: &Key) -> Error {
        self.lock().may_run(key).err().unwrap_or(Error::Cancelled)
    }
}

impl State {
    fn may_run(&self, key: &Key) -> Result<(), Error> {
        if self.closed {
            return Err(Error::Closed);
        }
        if self.revoked.contains(key.digest()) {
            return Err(Error::Revoked(*key.digest()));
        }
        Ok(())
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("settings", &self.0.settings)
            .field("idle", &self.idle())
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

/// The entry of a call; dropping it takes the call out.
struct Entry {
    pool: Pool,
    id: u64,
    kill: CancellationToken,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.pool.lock().under_way.remove(&self.id);
    }
}

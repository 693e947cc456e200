//! Holding a running program: killing it, waiting for it, and clearing up after it.
//!
//! Invariants: the whole tree has ended and everything of it is removed before anybody hears that it ended; dropping the
//! last holder kills it; every holder hears the same.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::sys::{self, Reaped};
use crate::launch::{Ended, Tree};

/// What is particular to one kind of tree.
pub(super) trait Kept: Send + Sync + 'static {
    /// Called when the first process has ended, before it is reaped.
    fn before_reaping(&self, _pid: i32) {}

    /// How it ended, if it was not killed from here; `status` is that of the first process.
    fn ended(&self, first: Reaped, killed: bool) -> Ended;

    /// The memory that it holds.
    fn memory_bytes(&self) -> Option<u64>;
}

/// A tree of processes, held by its first one.
pub(super) struct Holder<K> {
    process: Arc<Process>,
    kept: Weak<K>,
    ended: watch::Receiver<Option<Ended>>,
}

struct Process {
    descriptor: OnceLock<OwnedFd>,
    group: Option<i32>,
    killed: AtomicBool,
    gone: AtomicBool,
}

impl Process {
    fn kill(&self) {
        if self.gone.load(Ordering::Acquire) {
            return;
        }
        self.killed.store(true, Ordering::Release);
        if let Some(descriptor) = self.descriptor.get() {
            // It may have ended meanwhile, which is what is wanted.
            let _ended = sys::signal_process(descriptor.as_fd(), libc::SIGKILL);
        }
        if let Some(group) = self.group {
            // The same holds of the others.
            let _ended = sys::signal_group(group, libc::SIGKILL);
        }
    }
}

impl<K: Kept> Holder<K> {
    /// Holds the process with this number and descriptor, and clears `kept` up when it has ended. Needs a runtime.
    pub(super) fn new(pid: i32, descriptor: OwnedFd, group: Option<i32>, kept: K) -> io::Result<Self> {
        let waited = sys::watched(descriptor.try_clone()?)?;
        let (tell, ended) = watch::channel(None);
        let process = Arc::new(Process {
            descriptor: OnceLock::from(descriptor),
            group,
            killed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        });
        let kept = Arc::new(kept);
        let holder = Self {
            process: Arc::clone(&process),
            kept: Arc::downgrade(&kept),
            ended,
        };
        tokio::spawn(async move {
            // An error would say that the descriptor is none; then waiting below takes its time instead.
            let _readable = waited.readable().await;
            let cleared = tokio::task::spawn_blocking(move || {
                kept.before_reaping(pid);
                process.gone.store(true, Ordering::Release);
                let reaped = sys::reap(pid, true).ok().flatten();
                let killed = process.killed.load(Ordering::Acquire);
                let nothing = Reaped {
                    pid,
                    status: libc::SIGKILL,
                    cpu_micros: 0,
                };
                let ended = kept.ended(reaped.unwrap_or(nothing), killed);
                remove(kept);
                ended
            });
            tell.send_replace(Some(cleared.await.unwrap_or(Ended::Killed)));
        });
        Ok(holder)
    }
}

/// Drops the last hold of what is to be cleared up, waiting for those who look at it for a moment.
fn remove<K>(mut kept: Arc<K>) {
    while let Err(still) = Arc::try_unwrap(kept) {
        kept = still;
        std::thread::yield_now();
    }
}

#[async_trait]
impl<K: Kept> Tree for Holder<K> {
    fn kill(&self) {
        self.process.kill();
    }

    async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let waited = ended.wait_for(Option::is_some).await;
        // Where the runtime is shut down, so is what it held.
        waited.ok().and_then(|ended| *ended).unwrap_or(Ended::Killed)
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.kept.upgrade()?.memory_bytes()
    }
}

impl<K> Drop for Holder<K> {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// How a program ended that had this status and used so much time, of which it had so much.
pub(super) fn judge(status: i32, cpu_micros: u64, cpu: std::time::Duration) -> Ended {
    use crate::launch::Limit;
    if libc::WIFEXITED(status) {
        return Ended::Exited(libc::WEXITSTATUS(status));
    }
    let used_up = u128::from(cpu_micros) >= u128::from(cpu.as_secs().max(1)) * 1_000_000;
    match libc::WTERMSIG(status) {
        libc::SIGXCPU => Ended::Limit(Limit::Cpu),
        libc::SIGKILL if used_up => Ended::Limit(Limit::Cpu),
        libc::SIGSYS => Ended::Forbidden,
        signal => Ended::Signalled(signal),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::launch::Limit;

    #[test]
    fn a_status_says_which_limit_was_hit() {
        let second = Duration::from_secs(1);
        assert_eq!(judge(3 << 8, 0, second), Ended::Exited(3));
        assert_eq!(judge(libc::SIGTERM, 0, second), Ended::Signalled(libc::SIGTERM));
        assert_eq!(judge(libc::SIGSYS, 0, second), Ended::Forbidden);
        assert_eq!(judge(libc::SIGXCPU, 0, second), Ended::Limit(Limit::Cpu));
        assert_eq!(judge(libc::SIGKILL, 2_000_000, second), Ended::Limit(Limit::Cpu));
        assert_eq!(judge(libc::SIGKILL, 900_000, second), Ended::Signalled(libc::SIGKILL));
    }
}

//! Bells: who may go on is told after the commit, here at once and elsewhere by NOTIFY.
//!
//! NOTIFY inside a transaction holds a lock of the whole database from before the commit until it is on disk, so that no two commits
//! share a write to the disk (PostgreSQL: "async.c", `PreCommit_Notify`). Rung afterwards, many commits share one notification.
//!
//! Invariant: a bell that is lost costs time and nothing else: whoever listens also looks by itself, seldom.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use brain_connectivity::postgres::{self, Postgres};
use tokio::sync::{Notify, broadcast};
use tokio_postgres::types::ToSql;
use tokio_util::sync::CancellationToken;

use crate::{
    ids::{StreamName, SwarmId, TenantId},
    ingest::Committed,
};

/// Bells kept for whoever is busy. One who missed some is told that it missed some.
const KEPT: usize = 1024;
/// How many names one notification carries; what is more comes with the next.
const NAMES: usize = 1000;

/// What was rung.
#[derive(Debug, Clone)]
pub(crate) enum Bell {
    /// It is about this swarm.
    Swarm(Arc<(TenantId, SwarmId)>),
    /// Something may have been missed.
    Anything,
}

/// The bells of a process; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bells {
    lines: Arc<Lines>,
}

#[derive(Debug)]
struct Lines {
    /// Who rings, so that nobody wakes up from the own bell.
    origin: String,
    ready: Line,
    stored: Line,
    outbox: Line,
}

impl Default for Lines {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            origin: uuid::Uuid::new_v4().simple().to_string(),
            ready: Line::new("studio_brain_tasks", ms(2)),
            stored: Line::new("studio_brain_events", ms(10)),
            outbox: Line::new("studio_brain_outbox", ms(2)),
        }
    }
}

/// What is told about one matter.
#[derive(Debug)]
struct Line {
    channel: &'static str,
    /// The least time from one notification to the next.
    gap: Duration,
    here: broadcast::Sender<Bell>,
    /// What other processes have not been told yet.
    elsewhere: Mutex<BTreeSet<String>>,
    rung: Notify,
    listening: Mutex<bool>,
}

impl Line {
    fn new(channel: &'static str, gap: Duration) -> Self {
        Self {
            channel,
            gap,
            here: broadcast::Sender::new(KEPT),
            elsewhere: Mutex::default(),
            rung: Notify::new(),
            listening: Mutex::default(),
        }
    }

    fn ring_here(&self, swarms: &[(TenantId, SwarmId)]) {
        if self.here.receiver_count() > 0 {
            for swarm in swarms {
                let _ = self.here.send(Bell::Swarm(Arc::new(swarm.clone())));
            }
        }
    }

    fn ring_elsewhere(&self, names: impl Iterator<Item = String>) {
        let mut waiting = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(names);
        if !waiting.is_empty() {
            self.rung.notify_one();
        }
    }

    fn take(&self) -> Vec<String> {
        let mut waiting = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::iter::from_fn(|| waiting.pop_first()).take(NAMES).collect();
        if !waiting.is_empty() {
            self.rung.notify_one();
        }
        taken
    }

    /// Tells the other processes until `stop`, and then what is left.
    async fn tell(&self, prefix: &str, postgres: &Postgres, stop: &CancellationToken) {
        loop {
            let stopping = tokio::select! {
                () = self.rung.notified() => false,
                () = stop.cancelled() => true,
            };
            if let Err(error) = self.notify(prefix, postgres).await {
                tracing::warn!(channel = self.channel, error = %error, "other replicas will find out a little later");
            }
            if stopping {
                return;
            }
            tokio::time::sleep(self.gap).await;
        }
    }

    async fn notify(&self, prefix: &str, postgres: &Postgres) -> Result<(), postgres::Error> {
        let names = self.take();
        if names.is_empty() {
            return Ok(());
        }
        let client = postgres.client().await?;
        let notify = client.prepare_cached(include_str!("sql/notify.sql")).await?;
        // A notification is written like a change, and need not be on disk: one that is lost is not missed.
        let parameters: [&(dyn ToSql + Sync); 3] = [&self.channel, &prefix, &names];
        let (begun, told, ended) = tokio::join!(
            client.batch_execute("BEGIN; SET LOCAL synchronous_commit = off"),
            client.execute(&notify, &parameters),
            client.batch_execute("COMMIT"),
        );
        begun.and(told.map(drop)).and(ended).map_err(postgres::Error::from)
    }
}

impl Bells {
    /// All that a commit rings for: who waits for tasks, and who reads events, here and elsewhere.
    pub(crate) fn committed(&self, committed: &Committed) {
        self.lines.ready.ring_here(&committed.ready);
        self.committed_by_a_lane(committed);
    }

    /// The same, but for the claims that wait here: the lane has woken them, and nobody else waits for its swarms.
    pub(crate) fn committed_by_a_lane(&self, committed: &Committed) {
        let names = |swarms: &[(TenantId, SwarmId)]| -> Vec<String> {
            swarms
                .iter()
                .map(|(tenant, swarm)| format!("{tenant}/{swarm}"))
                .collect()
        };
        self.lines.ready.ring_elsewhere(names(&committed.ready).into_iter());
        self.lines.stored.ring_here(&committed.stored);
        self.lines.stored.ring_elsewhere(names(&committed.stored).into_iter());
    }

    /// These streams have something to send, and their relays are elsewhere.
    pub(crate) fn outbox_elsewhere(&self, streams: &[StreamName]) {
        self.lines
            .outbox
            .ring_elsewhere(streams.iter().map(ToString::to_string));
    }

    /// Tells the other processes until `stop`.
    pub(crate) async fn tell_others(&self, postgres: &Postgres, stop: &CancellationToken) {
        let lines = &self.lines;
        let prefix = format!("{}/", lines.origin);
        tokio::join!(
            lines.ready.tell(&prefix, postgres, stop),
            lines.stored.tell(&prefix, postgres, stop),
            lines.outbox.tell("", postgres, stop),
        );
    }

    /// The bells for tasks that are ready.
    pub(crate) fn ready(&self, postgres: &Postgres, stop: &CancellationToken) -> broadcast::Receiver<Bell> {
        self.listen(|lines| &lines.ready, postgres, stop)
    }

    /// The bells for events that are stored.
    pub(crate) fn stored(&self, postgres: &Postgres, stop: &CancellationToken) -> broadcast::Receiver<Bell> {
        self.listen(|lines| &lines.stored, postgres, stop)
    }

    /// What is rung here, and from the first call on what is rung elsewhere.
    fn listen(
        &self,
        line: fn(&Lines) -> &Line,
        postgres: &Postgres,
        stop: &CancellationToken,
    ) -> broadcast::Receiver<Bell> {
        let own = line(&self.lines);
        let receiver = own.here.subscribe();
        let mut listening = own.listening.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *listening, true) {
            tokio::spawn(hear(self.clone(), line, postgres.clone(), stop.clone()));
        }
        receiver
    }
}

/// Passes on what other processes ring.
async fn hear(bells: Bells, line: fn(&Lines) -> &Line, postgres: Postgres, stop: CancellationToken) {
    let line = line(&bells.lines);
    while !stop.is_cancelled() {
        let listening = async {
            let (client, notifications) = postgres.dedicated_with_notifications().await?;
            client.batch_execute(&format!("LISTEN {}", line.channel)).await?;
            Ok::<_, postgres::Error>((client, notifications))
        };
        match listening.await {
            Ok((client, mut notifications)) => {
                let _ = line.here.send(Bell::Anything);
                loop {
                    tokio::select! {
                        () = stop.cancelled() => break,
                        notification = notifications.recv() => match notification {
                            Some(notification) => pass_on(&bells.lines.origin, line, notification.payload()),
                            None => break,
                        },
                    }
                }
                drop(client);
            }
            Err(error) => {
                tracing::warn!(channel = line.channel, error = %error, "other replicas are not heard at the moment");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    *line.listening.lock().unwrap_or_else(PoisonError::into_inner) = false;
}

/// `<origin>/<tenant>/<swarm>`: neither an origin nor a tenant has a slash, a swarm may. What cannot be read rings for all.
fn pass_on(own: &str, line: &Line, payload: &str) {
    let (origin, name) = payload.split_once('/').unwrap_or((payload, ""));
    if origin == own {
        return;
    }
    let _ = line.here.send(named(name).map_or(Bell::Anything, Bell::Swarm));
}

fn named(name: &str) -> Option<Arc<(TenantId, SwarmId)>> {
    let (tenant, swarm) = name.split_once('/')?;
    Some(Arc::new((tenant.parse().ok()?, swarm.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_bell_is_for_one_swarm_of_one_tenant() {
        let line = Line::new("test", Duration::ZERO);
        let mut heard = line.here.subscribe();
        let mut hear = |payload: &str| {
            pass_on("me", &line, payload);
            match heard.try_recv() {
                Ok(Bell::Swarm(swarm)) => format!("{}, {}", swarm.0, swarm.1),
                Ok(Bell::Anything) => "anything".to_owned(),
                Err(_) => "nothing".to_owned(),
            }
        };
        assert_eq!(hear("other/acme/s"), "acme, s");
        assert_eq!(hear("other/acme/s/t"), "acme, s/t");
        assert_eq!(hear("me/acme/s"), "nothing");
        for unreadable in ["other/s", "other/Acme/s", "other/acme/", "other", ""] {
            assert_eq!(hear(unreadable), "anything", "{unreadable}");
        }
    }
}

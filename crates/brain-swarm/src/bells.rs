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

use crate::ids::{StreamName, SwarmId, TenantId};

/// Bells kept for whoever is busy. One who missed some is told that it missed some.
const KEPT: usize = 1024;
/// The least time from one notification to the next.
const GAP: Duration = Duration::from_millis(2);
/// How many names one notification carries; what is more comes with the next.
const NAMES: usize = 1000;

/// What was rung.
#[derive(Debug, Clone)]
pub(crate) enum Bell {
    /// Tasks of this swarm are ready, of whichever tenant has one of that name.
    Swarm(Arc<str>),
    /// Something may have been missed.
    Anything,
}

/// The bells of a process; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Bells {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Who rang, so that nobody wakes up from the own bell.
    origin: String,
    here: broadcast::Sender<Bell>,
    elsewhere: Mutex<Names>,
    rung: Notify,
    listening: Mutex<bool>,
}

/// What others have not been told yet.
#[derive(Debug, Default)]
struct Names {
    streams: BTreeSet<String>,
    swarms: BTreeSet<String>,
}

impl Default for Bells {
    fn default() -> Self {
        Self {
            inner: Arc::new(Inner {
                origin: uuid::Uuid::new_v4().simple().to_string(),
                here: broadcast::Sender::new(KEPT),
                elsewhere: Mutex::default(),
                rung: Notify::new(),
                listening: Mutex::default(),
            }),
        }
    }
}

impl Bells {
    /// Tasks of these swarms are ready: tells everybody, here and elsewhere.
    pub(crate) fn ready(&self, swarms: &[(TenantId, SwarmId)]) {
        for (_, swarm) in swarms {
            // Nobody may be listening.
            let _ = self.inner.here.send(Bell::Swarm(swarm.as_str().into()));
        }
        self.ready_elsewhere(swarms);
    }

    /// Tells the other processes only.
    pub(crate) fn ready_elsewhere(&self, swarms: &[(TenantId, SwarmId)]) {
        self.tell(|names| {
            names.swarms.extend(swarms.iter().map(|(_, swarm)| swarm.to_string()));
        });
    }

    /// These streams have something to send, and their relays are elsewhere.
    pub(crate) fn outbox_elsewhere(&self, streams: &[StreamName]) {
        self.tell(|names| names.streams.extend(streams.iter().map(ToString::to_string)));
    }

    fn tell(&self, add: impl FnOnce(&mut Names)) {
        let mut names = self.inner.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut names);
        if !names.streams.is_empty() || !names.swarms.is_empty() {
            self.inner.rung.notify_one();
        }
    }

    /// Tells the other processes until `stop`, and then what is left.
    pub(crate) async fn tell_others(&self, postgres: &Postgres, stop: &CancellationToken) {
        loop {
            let stopping = tokio::select! {
                () = self.inner.rung.notified() => false,
                () = stop.cancelled() => true,
            };
            if let Err(error) = self.notify(postgres).await {
                tracing::warn!(error = %error, "other replicas will find out a little later what is ready");
            }
            if stopping {
                return;
            }
            tokio::time::sleep(GAP).await;
        }
    }

    async fn notify(&self, postgres: &Postgres) -> Result<(), postgres::Error> {
        let (streams, swarms) = {
            let mut names = self.inner.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
            let mut first = |from: fn(&mut Names) -> &mut BTreeSet<String>| -> Vec<String> {
                let set = from(&mut names);
                std::iter::from_fn(|| set.pop_first()).take(NAMES).collect()
            };
            let taken = (first(|names| &mut names.streams), first(|names| &mut names.swarms));
            if !names.streams.is_empty() || !names.swarms.is_empty() {
                self.inner.rung.notify_one();
            }
            taken
        };
        if streams.is_empty() && swarms.is_empty() {
            return Ok(());
        }
        let client = postgres.client().await?;
        let notify = client.prepare_cached(include_str!("sql/notify.sql")).await?;
        // A notification is written like a change, and need not be on disk: one that is lost is not missed.
        let parameters: [&(dyn ToSql + Sync); 3] = [&streams, &self.inner.origin, &swarms];
        let (begun, told, ended) = tokio::join!(
            client.batch_execute("BEGIN; SET LOCAL synchronous_commit = off"),
            client.execute(&notify, &parameters),
            client.batch_execute("COMMIT"),
        );
        begun.and(told.map(drop)).and(ended).map_err(postgres::Error::from)
    }

    /// The bells for tasks that are rung here, and elsewhere from the first call on.
    pub(crate) fn listen(&self, postgres: &Postgres, stop: &CancellationToken) -> broadcast::Receiver<Bell> {
        let receiver = self.inner.here.subscribe();
        let mut listening = self.inner.listening.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *listening, true) {
            tokio::spawn(hear(self.clone(), postgres.clone(), stop.clone()));
        }
        receiver
    }
}

/// Passes on what other processes say is ready.
async fn hear(bells: Bells, postgres: Postgres, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let listening = async {
            let (client, notifications) = postgres.dedicated_with_notifications().await?;
            client.batch_execute("LISTEN studio_brain_tasks").await?;
            Ok::<_, postgres::Error>((client, notifications))
        };
        match listening.await {
            Ok((client, mut notifications)) => {
                let _ = bells.inner.here.send(Bell::Anything);
                loop {
                    tokio::select! {
                        () = stop.cancelled() => break,
                        notification = notifications.recv() => match notification {
                            Some(notification) => bells.pass_on(notification.payload()),
                            None => break,
                        },
                    }
                }
                drop(client);
            }
            Err(error) => tracing::warn!(error = %error, "claims do not hear of other replicas at the moment"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    *bells.inner.listening.lock().unwrap_or_else(PoisonError::into_inner) = false;
}

impl Bells {
    /// `<origin>/<swarm>`: an origin has no slash, a swarm may.
    fn pass_on(&self, payload: &str) {
        match payload.split_once('/') {
            Some((origin, _)) if origin == self.inner.origin => {}
            Some((_, swarm)) => _ = self.inner.here.send(Bell::Swarm(swarm.into())),
            None => _ = self.inner.here.send(Bell::Anything),
        }
    }
}

//! The skill plane of one brain: what is installed on its disk, what its registry offers, and calls.
//!
//! Invariants: a program starts only after every file of it was read again and held against policy and revocations; files that a
//! program runs from are not removed under it; values of granted variables are in no answer, error or log line.

mod environment;
mod error;
mod installing;
mod launch;
mod offers;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::{
    environment::Environment,
    error::Error,
    offers::{Offer, Offers},
};
use crate::{
    SkillRef,
    calls::{self, Answer, AtWork, Call, Pool, Protocol, Terms},
    digest::Digest,
    egress::Allowlist,
    launch::{Enforced, Launch, Program},
    manifest,
    policy::Policy,
    refused::{Refused, Stage},
    registry::revoked::Subject,
    store::{Launchable, Revocations, Store},
};

/// What a plane is made of.
pub struct Options {
    /// The install root.
    pub store: Store,
    /// Where skills come from.
    pub offers: Offers,
    /// What may be installed and started.
    pub policy: Policy,
    /// What starts programs.
    pub launch: Arc<dyn Launch>,
    /// What confines every program.
    pub mechanisms: Arc<[Enforced]>,
    /// How programs are kept.
    pub pool: calls::Settings,
    /// The variables that may be granted.
    pub environment: Environment,
}

/// The skill plane. Cheap to clone.
#[derive(Clone)]
pub struct Plane(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    offers: Offers,
    policy: Arc<Policy>,
    revocations: Arc<RwLock<Arc<Revocations>>>,
    pool: Pool,
    environment: Environment,
    mechanisms: Arc<[Enforced]>,
    /// Skills that were looked at before, so that a warm call reads no file.
    known: Arc<Mutex<HashMap<SkillRef, Arc<Known>>>>,
}

/// A skill as it is called.
struct Known {
    digest: Digest,
    description: String,
    commands: Vec<String>,
    skill: calls::Skill,
}

/// What is to be installed.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The skill.
    pub reference: SkillRef,
    /// The digest that its tree must have.
    pub digest: Option<Digest>,
    /// Installs it although a newer version is installed.
    pub allow_downgrade: bool,
}

/// A call of an installed skill.
#[derive(Debug)]
pub struct Order<'a> {
    /// The skill.
    pub reference: &'a SkillRef,
    /// The digest that whoever calls installed.
    pub digest: Digest,
    /// For whom: no program serves two.
    pub tenant: &'a str,
    /// What it is to do.
    pub call: Call,
}

impl Plane {
    /// A plane that has called nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let Options {
            store,
            offers,
            policy,
            launch,
            mechanisms,
            pool,
            environment,
        } = options;
        let (store, policy) = (Arc::new(store), Arc::new(policy));
        let revocations: Arc<RwLock<Arc<Revocations>>> = Arc::default();
        let known: Arc<Mutex<HashMap<SkillRef, Arc<Known>>>> = Arc::default();
        let checked = launch::Checked {
            store: Arc::clone(&store),
            policy: Arc::clone(&policy),
            revocations: Arc::clone(&revocations),
            known: Arc::clone(&known),
            launch,
        };
        let plane = Self(Arc::new(Inner {
            store,
            offers,
            policy,
            revocations,
            pool: Pool::new(Arc::new(checked), pool),
            environment,
            mechanisms,
            known,
        }));
        // What was trusted before this process began holds until it is refreshed.
        plane.take_revocations();
        plane
    }

    /// What confines every program.
    #[must_use]
    pub fn mechanisms(&self) -> &Arc<[Enforced]> {
        &self.0.mechanisms
    }

    /// Where skills come from.
    #[must_use]
    pub fn offers(&self) -> &Offers {
        &self.0.offers
    }

    /// How many programs run, idle ones included.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.pool.running()
    }

    /// Calls a skill. Dropping the future ends what it started.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn call(&self, order: Order<'_>, terms: &Terms<'_>) -> Result<Answer, Error> {
        let inner = &self.0;
        inner.policy.admits(order.reference)?;
        inner.revoked().check(order.reference, Some(order.digest))?;
        let known = self.known(order.reference).await?;
        if known.digest != order.digest {
            let reason = format!(
                "{} is {} on this brain, but {} was installed; install it again",
                order.reference, known.digest, order.digest
            );
            return Err(Refused::at(Stage::Checksum, reason).into());
        }
        if !known.commands.contains(&order.call.command) {
            let reason = format!(
                "{} may be asked for {}, not for {:?}",
                order.reference,
                if known.commands.is_empty() {
                    "nothing".to_owned()
                } else {
                    known.commands.join(", ")
                },
                order.call.command.chars().take(128).collect::<String>(),
            );
            return Err(Refused::at(Stage::Policy, reason).into());
        }
        let secrets = inner.environment.clone();
        let sink: calls::Sink = {
            let (events, secrets) = (Arc::clone(terms.events), secrets.clone());
            Arc::new(move |event| events(secrets.redacted_event(event)))
        };
        let terms = Terms {
            events: &sink,
            ..*terms
        };
        let called = inner.pool.call(&known.skill, order.tenant, &order.call, &terms).await;
        match called {
            Ok(answer) => Ok(Answer {
                value: secrets.redacted(answer.value),
                ..answer
            }),
            Err(failure) => {
                if let calls::Error::Launch(crate::launch::Error::Program(_)) = failure.error() {
                    // What was known of it may be what is wrong.
                    self.forget(order.reference);
                }
                Err(Error::Call(Box::new(
                    failure.map_texts(|text| secrets.redacted_text(text)),
                )))
            }
        }
    }

    /// Ends the idle programs of a skill for a tenant that removed it.
    pub fn retire(&self, digest: Digest, tenant: &str) {
        self.0
            .pool
            .retire(AtWork::Finish, |other, of| *other == digest && of == tenant);
    }

    /// Looks at the registry now: what it revoked is not started any more, and what runs of it is killed.
    ///
    /// # Errors
    /// [`Error`]; what was revoked before stays revoked.
    pub async fn refresh(&self) -> Result<(), Error> {
        let refreshed = self.0.offers.refresh().await;
        self.take_revocations();
        refreshed
    }

    /// Looks at the registry again and again, until `shutdown`; then ends every program.
    pub async fn run(self, interval: Duration, shutdown: CancellationToken) {
        let mut failing = false;
        while self.0.offers.is_signed() && !shutdown.is_cancelled() {
            match self.refresh().await {
                Ok(()) if failing => {
                    failing = false;
                    tracing::info!(registry = %self.0.offers, "the registry of skills is read again");
                }
                Ok(()) => {}
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(registry = %self.0.offers, error = %error, "the registry of skills cannot be read");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
        shutdown.cancelled().await;
        self.0.pool.close(Instant::now() + Duration::from_secs(3)).await;
    }

    fn take_revocations(&self) {
        let Some(list) = self.0.offers.revocations() else {
            return;
        };
        let references = list.iter().filter_map(|(subject, _)| match subject {
            Subject::Reference(reference) => Some(reference.clone()),
            Subject::Tree(_) => None,
        });
        let digests: Vec<Digest> = list
            .iter()
            .filter_map(|(subject, _)| match subject {
                Subject::Tree(digest) => Some(*digest),
                Subject::Reference(_) => None,
            })
            .collect();
        let references: Vec<SkillRef> = references.collect();
        let new = Arc::new(Revocations::new(references.iter().cloned(), digests.iter().copied()));
        {
            let mut held = self.0.revocations.write().unwrap_or_else(PoisonError::into_inner);
            if *held == new {
                return;
            }
            *held = Arc::clone(&new);
        }
        let by_name = {
            let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
            let named = references.iter().filter_map(|reference| known.get(reference));
            named.map(|known| known.digest).collect::<Vec<_>>()
        };
        for digest in digests.into_iter().chain(by_name) {
            self.0.pool.revoke(digest, AtWork::Kill);
        }
        for reference in &references {
            self.forget(reference);
        }
        tracing::warn!(revoked = list.len(), "the registry of skills revoked something");
    }

    /// A skill with all that its calls need.
    async fn known(&self, reference: &SkillRef) -> Result<Arc<Known>, Error> {
        let held = self
            .0
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(reference)
            .cloned();
        if let Some(known) = held {
            return Ok(known);
        }
        let (inner, wanted) = (Arc::clone(&self.0), reference.clone());
        let known = self
            .blocking(move || {
                let revocations = inner.revoked();
                let launchable = inner.store.launchable(&wanted, &inner.policy, &revocations)?;
                Ok(Arc::new(inner.prepared(&launchable)?))
            })
            .await?;
        let mut all = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(all.entry(reference.clone()).or_insert(known)))
    }

    fn forget(&self, reference: &SkillRef) {
        self.0.forget(reference);
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(Error::Failed(error.to_string())),
        }
    }
}

impl Inner {
    fn revoked(&self) -> Arc<Revocations> {
        Arc::clone(&self.revocations.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn forget(&self, reference: &SkillRef) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(reference);
    }

    fn prepared(&self, launchable: &Launchable) -> Result<Known, Refused> {
        let granted = &launchable.granted;
        let environment = self.environment.of(&granted.environment)?;
        let egress = Allowlist::parse(&granted.egress_hosts)
            .map_err(|error| Refused::at(Stage::Manifest, format!("allowedEgressHosts: {error}")))?;
        let protocol = match launchable.manifest.protocol() {
            manifest::Protocol::JsonRpc => Protocol::JsonRpc,
            manifest::Protocol::Mcp => Protocol::Mcp {
                tools: launchable.manifest.tools(),
            },
        };
        let program = Program {
            digest: launchable.digest,
            code: launchable.path.clone(),
            argv: launchable.manifest.entrypoint().argv().to_vec(),
            environment,
            limits: granted.limits,
            egress: Arc::new(egress),
            mounts: Vec::new(),
        };
        Ok(Known {
            digest: launchable.digest,
            description: launchable.manifest.description().to_owned(),
            commands: granted.commands.clone(),
            skill: calls::Skill { program, protocol },
        })
    }
}

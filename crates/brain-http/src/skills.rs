//! The skills of tenants: the plane of this brain, joined with what the database says that each tenant installed.
//!
//! Invariants: a tenant calls only what it installed, and only with the bytes that it installed; what is done and what is refused is
//! in the audit trail, and told to the swarm.

use std::{sync::Arc, time::Duration};

use brain_connectivity::postgres::Postgres;
use brain_skills::{
    SkillRef,
    calls::{self, Answer, Gate, Terms},
    digest::Digest,
    launch::Enforced,
    plane::{self, Order, Plane, Wanted},
    refused::{Refused, Stage},
};
use brain_swarm::{
    calls::Scope,
    event::{Defaults, Event},
    ids::{RunId, TenantId},
    publish::Publisher,
    skills::{self as records, Installed, NewSkill},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Whether this brain serves skills.
#[derive(Clone)]
pub enum Availability {
    /// It does.
    Served(Skills),
    /// It does not, for this reason.
    Unserved(Arc<str>),
}

impl Availability {
    /// The skills.
    ///
    /// # Errors
    /// [`Error::Unserved`].
    pub fn served(&self) -> Result<&Skills, Error> {
        match self {
            Self::Served(skills) => Ok(skills),
            Self::Unserved(reason) => Err(Error::Unserved(Arc::clone(reason))),
        }
    }
}

/// The skills of tenants. Cheap to clone.
#[derive(Clone)]
pub struct Skills {
    plane: Plane,
    postgres: Postgres,
    publisher: Publisher,
    time_limit: Duration,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This brain serves no skills.
    #[error("this brain serves no skills: {0}")]
    Unserved(Arc<str>),
    /// The tenant has not installed it.
    #[error("{0} is not installed")]
    NotInstalled(SkillRef),
    /// The plane says no.
    #[error(transparent)]
    Plane(#[from] plane::Error),
    /// The database says no, or nothing.
    #[error(transparent)]
    Records(#[from] records::Error),
}

impl From<brain_connectivity::postgres::Error> for Error {
    fn from(error: brain_connectivity::postgres::Error) -> Self {
        Self::Records(error.into())
    }
}

/// What is to be installed.
#[derive(Debug)]
pub struct Install {
    /// The skill.
    pub reference: SkillRef,
    /// The digest that its tree must have.
    pub digest: Option<brain_swarm::digest::Digest>,
    /// Installs it although a newer version is installed.
    pub allow_downgrade: bool,
}

/// A call of a skill.
#[derive(Debug)]
pub struct Call {
    /// One of its commands.
    pub command: String,
    /// What it works on.
    pub payload: Value,
    /// How long it may take.
    pub limit: Duration,
}

/// What a skill answered.
#[derive(Debug)]
pub struct Answered {
    /// The result.
    pub result: Value,
    /// The digest of the tree that answered.
    pub digest: Digest,
    /// How long it took.
    pub duration: Duration,
    /// Whether a program that was running already answered.
    pub warm: bool,
    /// What confined it.
    pub enforced: Arc<[Enforced]>,
}

/// What the registry offers.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SkillRegistry")]
pub struct Offered {
    /// Where it is.
    source: String,
    /// Whether signatures vouch for what it offers.
    signed: bool,
    /// Until when what it says holds, unless it is signed anew; `null`, where nobody signed it.
    expires_at: Option<Timestamp>,
    /// What can be installed.
    skills: Vec<Offer>,
}

/// One skill that can be installed.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OfferedSkill")]
pub struct Offer {
    /// Which, as `name@version`.
    reference: String,
    /// Who published it; `null`, where nobody signed it.
    publisher: Option<String>,
    /// The digest of its tree, where signed metadata says it.
    digest: Option<brain_swarm::digest::Digest>,
}

/// What was removed from a disk.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "SweptSkills")]
pub struct Swept {
    /// How many trees.
    removed: usize,
}

/// A skill that a tenant installed.
///
/// # Errors
/// [`Error::NotInstalled`], or what the database says.
pub async fn installed(postgres: &Postgres, tenant: &TenantId, skill: &SkillRef) -> Result<Installed, Error> {
    let found = records::get(postgres, tenant, (skill.name(), &skill.version().to_string())).await?;
    found.ok_or_else(|| Error::NotInstalled(skill.clone()))
}

impl Skills {
    /// `time_limit`: of calls that say none.
    #[must_use]
    pub fn new(plane: Plane, postgres: Postgres, publisher: Publisher, time_limit: Duration) -> Self {
        Self {
            plane,
            postgres,
            publisher,
            time_limit,
        }
    }

    /// How long a call may take that does not say.
    #[must_use]
    pub const fn time_limit(&self) -> Duration {
        self.time_limit
    }

    /// What confines every program on this brain.
    #[must_use]
    pub fn mechanisms(&self) -> &Arc<[Enforced]> {
        self.plane.mechanisms()
    }

    /// Installs a skill for a tenant, and tells the trail and the swarm what came of it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn install(
        &self,
        scope: &Scope,
        run: &RunId,
        principal: &str,
        install: Install,
    ) -> Result<Installed, Error> {
        let wanted = Wanted {
            reference: install.reference,
            digest: install.digest.map(|digest| Digest::from(*digest.bytes())),
            allow_downgrade: install.allow_downgrade,
        };
        let reference = wanted.reference.clone();
        match self.put(scope, principal, &wanted).await {
            Ok(installed) => {
                let digest = installed.digest;
                let payload = json!({"reference": reference, "digest": digest, "publisher": installed.publisher});
                self.tell(scope, run, "skill.install.completed", payload).await;
                Ok(installed)
            }
            Err(Error::Plane(plane::Error::Refused(refused))) => {
                let Refused { stage, reason } = &refused;
                let told = (&*reference.to_string(), stage.as_str(), reason.as_str());
                records::refused(&self.postgres, &scope.tenant_id, principal, told)
                    .await
                    .map_err(records::Error::from)?;
                let payload = json!({"reference": reference, "stage": stage, "reason": reason});
                self.tell(scope, run, "skill.install.blocked", payload).await;
                Err(plane::Error::Refused(refused).into())
            }
            Err(error) => Err(error),
        }
    }

    async fn put(&self, scope: &Scope, principal: &str, wanted: &Wanted) -> Result<Installed, Error> {
        let record = self.plane.install(wanted).await?;
        let known = self.plane.describe(&wanted.reference).await?;
        let new = NewSkill {
            name: wanted.reference.name().to_owned(),
            version: wanted.reference.version().to_string(),
            digest: brain_swarm::digest::Digest::from(*record.digest.as_bytes()),
            publisher: record.publisher,
            description: known,
            granted: serde_json::to_value(&record.granted)
                .map_err(|error| plane::Error::Failed(format!("what was granted cannot be written: {error}")))?,
        };
        match records::install(&self.postgres, &scope.tenant_id, new, principal).await {
            Err(error @ records::Error::OtherBytes { .. }) => {
                Err(plane::Error::Refused(Refused::at(Stage::Reference, error.to_string())).into())
            }
            installed => Ok(installed?),
        }
    }

    /// Tells the swarm; what cannot be told is in the trail all the same.
    async fn tell(&self, scope: &Scope, run: &RunId, kind: &str, payload: Value) {
        let defaults = Defaults {
            tenant_id: scope.tenant_id.clone(),
            generate: true,
            swarm_id: Some(scope.swarm_id.clone()),
            run_id: Some(run.clone()),
            traceparent: None,
        };
        let event = json!({"type": kind, "actorId": "brain", "payload": payload}).to_string();
        let told = match Event::parse(event.as_bytes(), usize::MAX, &defaults) {
            Ok(event) => self
                .publisher
                .publish(vec![event])
                .await
                .map(drop)
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = told {
            tracing::warn!(event.kind = kind, error, "the swarm could not be told of a skill");
        }
    }

    /// Removes a skill of a tenant.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], or what the database says.
    pub async fn remove(&self, tenant: &TenantId, skill: &SkillRef, principal: &str) -> Result<(), Error> {
        let digest = installed(&self.postgres, tenant, skill).await?.digest;
        let key = (skill.name(), &*skill.version().to_string());
        if !records::remove(&self.postgres, tenant, key, principal).await? {
            return Err(Error::NotInstalled(skill.clone()));
        }
        self.plane.retire(Digest::from(*digest.bytes()), tenant.as_str());
        Ok(())
    }

    /// Reads every file of a skill on this disk again; gives what is wrong.
    ///
    /// # Errors
    /// [`Error`] when it cannot be said.
    pub async fn verify(&self, tenant: &TenantId, skill: &SkillRef) -> Result<Option<String>, Error> {
        installed(&self.postgres, tenant, skill).await?;
        Ok(self.plane.verify(skill).await?)
    }

    /// Removes from this disk what no tenant has installed.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let in_use = records::digests_in_use(&self.postgres).await?;
        let keep = in_use.iter().map(|digest| Digest::from(*digest.bytes())).collect();
        let removed = self.plane.sweep(keep).await?.len();
        Ok(Swept { removed })
    }

    /// What the registry offers, as it was read last.
    ///
    /// # Errors
    /// [`Error`] where nothing of it is trusted.
    pub async fn offered(&self) -> Result<Offered, Error> {
        let plane = self.plane.clone();
        let reading = tokio::task::spawn_blocking(move || -> Result<_, plane::Error> {
            let offers = plane.offers();
            Ok(Offered {
                source: offers.to_string(),
                signed: offers.is_signed(),
                expires_at: offers.expires()?,
                skills: offers
                    .all()?
                    .into_iter()
                    .map(|offer| Offer {
                        reference: offer.reference.to_string(),
                        publisher: offer.publisher,
                        digest: offer.digest.map(|digest| (*digest.as_bytes()).into()),
                    })
                    .collect(),
            })
        });
        let read = reading.await.map_err(|error| plane::Error::Failed(error.to_string()))?;
        Ok(read?)
    }

    /// Looks at the registry now.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn refresh(&self) -> Result<(), Error> {
        Ok(self.plane.refresh().await?)
    }

    /// Calls a skill for a tenant. Dropping the future ends what it started.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn call(&self, tenant: &TenantId, skill: &SkillRef, call: Call) -> Result<Answered, Error> {
        let (cancel, events) = (CancellationToken::new(), quiet(skill));
        let terms = Terms::new(call.deadline(), &cancel, &events);
        self.called(tenant, (skill, None), call, &terms).await
    }

    /// The same, where the call can be cancelled and somebody listens to what the skill tells meanwhile.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn call_watched(
        &self,
        tenant: &TenantId,
        skill: &SkillRef,
        call: Call,
        (cancel, events): (&CancellationToken, &calls::Sink),
    ) -> Result<Answered, Error> {
        let terms = Terms::new(call.deadline(), cancel, events);
        self.called(tenant, (skill, None), call, &terms).await
    }

    /// The same, where the call must pass a gate, and the tree may have to have a digest.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn call_through(
        &self,
        tenant: &TenantId,
        (skill, digest): (&SkillRef, Option<brain_swarm::digest::Digest>),
        call: Call,
        gate: &dyn Gate,
    ) -> Result<Answered, Error> {
        let (cancel, events) = (CancellationToken::new(), quiet(skill));
        let terms = Terms::new(call.deadline(), &cancel, &events).through(gate);
        self.called(tenant, (skill, digest), call, &terms).await
    }

    async fn called(
        &self,
        tenant: &TenantId,
        (skill, wanted): (&SkillRef, Option<brain_swarm::digest::Digest>),
        call: Call,
        terms: &Terms<'_>,
    ) -> Result<Answered, Error> {
        let started = Instant::now();
        let installed = installed(&self.postgres, tenant, skill).await?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != installed.digest) {
            let reason = format!("{skill} is {}, not {wanted}", installed.digest);
            return Err(plane::Error::Refused(Refused::at(Stage::Checksum, reason)).into());
        }
        let digest = Digest::from(*installed.digest.bytes());
        let order = Order {
            reference: skill,
            digest,
            tenant: tenant.as_str(),
            call: calls::Call {
                command: call.command,
                payload: call.payload,
            },
        };
        let Answer {
            value, warm, enforced, ..
        } = self.plane.call(order, terms).await?;
        Ok(Answered {
            result: value,
            digest,
            duration: started.elapsed(),
            warm,
            enforced,
        })
    }
}

impl Call {
    fn deadline(&self) -> Instant {
        Instant::now() + self.limit
    }
}

/// What a skill tells goes to the log.
fn quiet(skill: &SkillRef) -> calls::Sink {
    let skill = skill.to_string();
    Arc::new(move |event| match event {
        calls::Event::Log { level, message } => {
            tracing::info!(skill, level = ?level, detail = message, "a skill says");
        }
        calls::Event::Progress { .. } => {}
        calls::Event::Dropped(count) => tracing::info!(skill, count, "a skill says too much"),
    })
}

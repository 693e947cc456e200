//! Governance of what agents do to the world outside: capabilities, proposals, approvals, and the executors behind them.
//!
//! Invariants: nothing is dispatched that the policy, a person or an exemption did not allow at that moment; whatever is
//! decided is in the audit trail, in the same transaction; a proposal is executed once; an outcome that nobody saw is called
//! unknown, and never tried again by itself; once the kill switch is on, nothing leaves.

pub mod capability;
pub mod decide;
pub mod delegations;
mod dispatch;
pub mod envelope;
mod error;
pub mod executor;
pub mod exemptions;
mod fence;
mod intake;
pub mod kill_switch;
pub mod lint;
pub mod means;
pub mod policy;
pub mod proposal;
mod proposals;
pub mod quotas;
mod service;
mod store;
mod trail;
pub mod webhook;
mod who;

use std::{collections::HashMap, fmt, sync::Arc};

use brain_connectivity::postgres::Postgres;

use self::{capability::CapabilityId, executor::Executor, means::Means, policy::Policy};
pub use self::{
    dispatch::{DryRun, Execute},
    error::{Error, Refusal},
    proposals::{Decision, Finding, NewProposal, Page, Query},
    service::Service,
    who::Who,
};

/// Makes what carries out a capability.
pub type MakeExecutor = Box<dyn Fn(&Means) -> Arc<dyn Executor> + Send + Sync>;

/// Wakes whoever delivers notices.
pub type Bell = Arc<dyn Fn() + Send + Sync>;

/// What governance works with.
pub struct Options {
    /// Where everything is kept.
    pub postgres: Postgres,
    /// What is decided by.
    pub policy: Policy,
    /// Makes what carries out a capability.
    pub executor: MakeExecutor,
    /// Rung when the notice of a proposal that waits for a person is stored; none is, where there is no bell.
    pub notices: Option<Bell>,
    /// Which of several brains this one is.
    pub replica_id: String,
}

/// Decides and dispatches. Clones share everything.
#[derive(Clone)]
pub struct Governance(Arc<Inner>);

struct Inner {
    postgres: Postgres,
    policy: Policy,
    executors: HashMap<CapabilityId, Arc<dyn Executor>>,
    notices: Option<Bell>,
    replica_id: String,
}

impl fmt::Debug for Governance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governance")
            .field("policy", &self.0.policy.version())
            .finish_non_exhaustive()
    }
}

impl Governance {
    /// Makes an executor for each capability; nothing is asked yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let executors = options
            .policy
            .means()
            .map(|(id, means)| (id.clone(), (options.executor)(means)))
            .collect();
        Self(Arc::new(Inner {
            postgres: options.postgres,
            policy: options.policy,
            executors,
            notices: options.notices,
            replica_id: options.replica_id,
        }))
    }

    /// What is decided by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    fn postgres(&self) -> &Postgres {
        &self.0.postgres
    }
}

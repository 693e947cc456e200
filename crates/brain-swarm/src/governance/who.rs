//! Who asks.

use std::{fmt, sync::Arc};

use super::{
    capability::CapabilityId,
    decide::{Delegated, Standing},
};
use crate::{
    audit::Actor,
    ids::{ActorId, TenantId},
};

/// A caller, as far as governance needs it.
#[derive(Clone)]
pub struct Who {
    /// The credential.
    pub principal: String,
    /// Who that is.
    pub actor_id: ActorId,
    /// Whose rows it sees.
    pub tenant_id: TenantId,
    /// Whether it acts for an owner, through a delegation; others answer for themselves.
    pub agent: bool,
    /// Whether its own scopes cover `capability:<id>:execute`.
    pub covers: Arc<dyn Fn(&CapabilityId) -> bool + Send + Sync>,
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Who")
            .field("principal", &self.principal)
            .field("actor_id", &self.actor_id)
            .field("tenant_id", &self.tenant_id)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

impl Who {
    /// The same, as the audit trail names it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::principal(self.principal.as_str())
    }

    pub(super) fn standing(&self, capability: &CapabilityId, delegated: Option<Delegated>) -> Standing {
        let own = (self.covers)(capability);
        if self.agent {
            Standing::Delegated(delegated.map(|it| Delegated {
                scope: it.scope && own,
                ..it
            }))
        } else {
            Standing::Own { scope: own }
        }
    }
}

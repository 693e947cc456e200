//! Delegations: an owner lets an agent act for it, within scopes and for a time.
//!
//! Invariants: a delegation is stored by its owner, or by somebody who may answer for every owner, and never said in a request of
//! the agent; once revoked it stays revoked.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use super::{
    Governance, Who,
    capability::CapabilityId,
    decide::Delegated,
    error::{self, Error},
    proposal::Unreadable,
};
use crate::{
    audit::{self, Entry, Metadata},
    ids::{ActorId, TenantId},
};

/// The most scopes of a delegation.
pub const MAX_SCOPES: usize = 64;
/// The longest that a delegation may hold, in milliseconds: a year.
pub const MAX_LIFE_MS: i64 = 366 * 24 * 3_600_000;

/// What a delegation covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every capability: `capability:*:execute`.
    All,
    /// One: `capability:<id>:execute`.
    One(CapabilityId),
}

/// A text that is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope of a delegation is capability:<id>:execute, or capability:*:execute")]
pub struct InvalidScope;

impl std::str::FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let id = text
            .strip_prefix("capability:")
            .and_then(|rest| rest.strip_suffix(":execute"))
            .ok_or(InvalidScope)?;
        match id {
            "*" => Ok(Self::All),
            id => id.parse().map(Self::One).map_err(|_| InvalidScope),
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("capability:*:execute"),
            Self::One(id) => f.write_str(&id.scope()),
        }
    }
}

impl Scope {
    fn covers(&self, capability: &CapabilityId) -> bool {
        match self {
            Self::All => true,
            Self::One(id) => id == capability,
        }
    }
}

/// What a delegation is to be.
#[derive(Debug, Clone)]
pub struct NewDelegation {
    /// Who lets somebody act.
    pub owner_id: ActorId,
    /// Who is let.
    pub agent_id: ActorId,
    /// What it covers.
    pub scopes: Vec<Scope>,
    /// For how long, in milliseconds.
    pub expires_in_ms: i64,
    /// Why.
    pub reason: String,
}

/// A delegation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Delegation")]
pub struct StoredDelegation {
    /// Its id, which the agent names.
    pub delegation_id: Uuid,
    /// Who lets somebody act.
    pub owner_id: ActorId,
    /// Who is let.
    pub agent_id: ActorId,
    /// What it covers.
    pub scopes: Vec<String>,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
    /// Who revoked it.
    pub revoked_by: Option<String>,
    /// When.
    pub revoked_at: Option<Timestamp>,
}

fn read(row: &Row) -> Result<StoredDelegation, Unreadable> {
    let actor =
        |name: &str| ActorId::new(row.get::<_, &str>(name)).map_err(|_| Unreadable("brain_capability_delegations"));
    Ok(StoredDelegation {
        delegation_id: row.get("delegation_id"),
        owner_id: actor("owner_id")?,
        agent_id: actor("agent_id")?,
        scopes: row.get("scopes"),
        reason: row.get("reason"),
        created_by: row.get("created_by"),
        created_at: row.get("created_at"),
        expires_at: row.get("expires_at"),
        revoked_by: row.get("revoked_by"),
        revoked_at: row.get("revoked_at"),
    })
}

/// A delegation as the decision needs it. It stays as it is until the transaction ends.
pub(super) async fn find(
    client: &impl GenericClient,
    tenant: &TenantId,
    id: Uuid,
    capability: &CapabilityId,
) -> Result<Option<Delegated>, Error> {
    let row = client
        .query_opt(include_str!("../sql/lock_delegation.sql"), &[&id, &tenant.as_str()])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let it = read(&row)?;
    // A scope that this version does not know covers nothing.
    let scope = it
        .scopes
        .iter()
        .any(|text| text.parse::<Scope>().is_ok_and(|scope| scope.covers(capability)));
    Ok(Some(Delegated {
        scope,
        revoked: it.revoked_at.is_some(),
        owner_id: it.owner_id,
        agent_id: it.agent_id,
        expires_at: it.expires_at,
    }))
}

impl Governance {
    /// Makes a delegation.
    ///
    /// # Errors
    /// What is wrong with it, or those of the database.
    pub async fn delegate(&self, who: &Who, new: &NewDelegation) -> Result<StoredDelegation, Error> {
        let reason = error::reason(&new.reason)?;
        if new.scopes.is_empty() || new.scopes.len() > MAX_SCOPES {
            return Err(Error::Invalid(format!("a delegation has 1 to {MAX_SCOPES} scopes")));
        }
        if !(1..=MAX_LIFE_MS).contains(&new.expires_in_ms) {
            return Err(Error::Invalid(format!("expiresInMs is 1 to {MAX_LIFE_MS}: a year")));
        }
        let id = Uuid::now_v7();
        let scopes: Vec<String> = new.scopes.iter().map(ToString::to_string).collect();
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        let row = transaction
            .query_one(
                include_str!("../sql/insert_delegation.sql"),
                &[
                    &id,
                    &who.tenant_id.as_str(),
                    &new.owner_id.as_str(),
                    &new.agent_id.as_str(),
                    &scopes,
                    &reason,
                    &who.principal,
                    &new.expires_in_ms,
                ],
            )
            .await?;
        let stored = read(&row)?;
        let entry = Entry {
            rationale: reason.to_owned(),
            metadata: Metadata::default()
                .with("ownerId", stored.owner_id.as_str())
                .with("agentId", stored.agent_id.as_str())
                .with("scopes", scopes)
                .with("expiresAt", stored.expires_at),
            ..Entry::new(who.actor(), "capability.delegation.create", id.to_string())
        };
        audit::append(&transaction, &who.tenant_id, entry).await?;
        transaction.commit().await?;
        Ok(stored)
    }

    /// Revokes a delegation: of `owner` alone, where one is named. Its proposals are not executed any more.
    ///
    /// # Errors
    /// When there is none, or those of the database.
    pub async fn revoke_delegation(
        &self,
        who: &Who,
        id: Uuid,
        owner: Option<&ActorId>,
        reason: &str,
    ) -> Result<StoredDelegation, Error> {
        let reason = error::reason(reason)?;
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        let row = transaction
            .query_opt(
                include_str!("../sql/revoke_delegation.sql"),
                &[
                    &id,
                    &who.tenant_id.as_str(),
                    &who.principal,
                    &owner.map(ActorId::as_str),
                ],
            )
            .await?;
        let row = row.ok_or(Error::NotFound("delegation", id))?;
        let stored = read(&row)?;
        if row.get("changed") {
            let entry = Entry {
                rationale: reason.to_owned(),
                metadata: Metadata::default()
                    .with("ownerId", stored.owner_id.as_str())
                    .with("agentId", stored.agent_id.as_str()),
                ..Entry::new(who.actor(), "capability.delegation.revoke", id.to_string())
            };
            audit::append(&transaction, &who.tenant_id, entry).await?;
        }
        transaction.commit().await?;
        Ok(stored)
    }

    /// Delegations by id, after the one named: of one owner or agent, where one is named.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delegations(
        &self,
        tenant: &TenantId,
        party: Option<&ActorId>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<StoredDelegation>, Error> {
        let client = self.postgres().client().await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = client
            .query(
                include_str!("../sql/select_delegations.sql"),
                &[
                    &tenant.as_str(),
                    &party.map(ActorId::as_str),
                    &after.unwrap_or(Uuid::nil()),
                    &limit,
                ],
            )
            .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_those_of_capabilities() {
        for good in ["capability:*:execute", "capability:mail.send:execute"] {
            assert_eq!(
                good.parse::<Scope>().map(|scope| scope.to_string()),
                Ok(good.to_owned())
            );
        }
        for wrong in [
            "",
            "capability::execute",
            "capability:*:read",
            "tasks:work",
            "capability:A:execute",
            "*",
        ] {
            assert_eq!(wrong.parse::<Scope>(), Err(InvalidScope), "{wrong}");
        }
    }
}

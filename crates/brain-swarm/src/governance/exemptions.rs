//! Exemptions: for a time, a capability needs no approval.
//!
//! Invariant: an exemption is a history of granting and revoking; who did either, and why, stays.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use super::{
    Governance, Who,
    capability::CapabilityId,
    decide::ReasonCode,
    error::{self, Error},
    proposal::Unreadable,
};
use crate::{
    audit::{self, Entry, Metadata},
    ids::TenantId,
};

/// The longest that an exemption may hold, in milliseconds: 30 days.
pub const MAX_LIFE_MS: i64 = 30 * 24 * 3_600_000;

/// An exemption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exemption {
    /// Its id.
    pub exemption_id: Uuid,
    /// What needs no approval.
    pub capability_id: CapabilityId,
    /// Who granted it.
    pub granted_by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub granted_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
    /// Who revoked it.
    pub revoked_by: Option<String>,
    /// Why.
    pub revoked_reason: Option<String>,
    /// When.
    pub revoked_at: Option<Timestamp>,
    /// Whether it holds now.
    pub active: bool,
}

fn read(row: &Row) -> Result<Exemption, Unreadable> {
    let id: &str = row.get("capability_id");
    Ok(Exemption {
        exemption_id: row.get("exemption_id"),
        capability_id: id
            .parse()
            .map_err(|_| Unreadable("brain_capability_exemption_events"))?,
        granted_by: row.get("granted_by"),
        reason: row.get("reason"),
        granted_at: row.get("granted_at"),
        expires_at: row.get("expires_at"),
        revoked_by: row.get("revoked_by"),
        revoked_reason: row.get("revoked_reason"),
        revoked_at: row.get("revoked_at"),
        active: row.get("active"),
    })
}

/// The exemption that covers a capability now.
pub(super) async fn covering(
    client: &impl GenericClient,
    tenant: &TenantId,
    capability: &CapabilityId,
) -> Result<Option<Uuid>, tokio_postgres::Error> {
    let row = client
        .query_opt(
            include_str!("../sql/select_covering_exemption.sql"),
            &[&tenant.as_str(), &capability.as_str()],
        )
        .await?;
    Ok(row.map(|row| row.get("exemption_id")))
}

impl Governance {
    /// Grants an exemption.
    ///
    /// # Errors
    /// What is wrong with it, or those of the database.
    pub async fn exempt(
        &self,
        who: &Who,
        capability: &CapabilityId,
        expires_in_ms: i64,
        reason: &str,
    ) -> Result<Exemption, Error> {
        let reason = error::reason(reason)?;
        if self.policy().capability(capability).is_none() {
            return Err(ReasonCode::CapabilityUnknown.into());
        }
        if !(1..=MAX_LIFE_MS).contains(&expires_in_ms) {
            return Err(Error::Invalid(format!("expiresInMs is 1 to {MAX_LIFE_MS}: 30 days")));
        }
        let id = Uuid::now_v7();
        self.change(
            who,
            id,
            "capability.exemption.grant",
            async |transaction| {
                transaction
                    .execute(
                        include_str!("../sql/grant_exemption.sql"),
                        &[
                            &Uuid::now_v7(),
                            &id,
                            &who.tenant_id.as_str(),
                            &capability.as_str(),
                            &who.principal,
                            &reason,
                            &expires_in_ms,
                        ],
                    )
                    .await
            },
            reason,
        )
        .await
    }

    /// Revokes an exemption.
    ///
    /// # Errors
    /// When there is none that could be, or those of the database.
    pub async fn revoke_exemption(&self, who: &Who, id: Uuid, reason: &str) -> Result<Exemption, Error> {
        let reason = error::reason(reason)?;
        self.change(
            who,
            id,
            "capability.exemption.revoke",
            async |transaction| {
                transaction
                    .execute(
                        include_str!("../sql/revoke_exemption.sql"),
                        &[&Uuid::now_v7(), &id, &who.tenant_id.as_str(), &who.principal, &reason],
                    )
                    .await
            },
            reason,
        )
        .await
    }

    async fn change(
        &self,
        who: &Who,
        id: Uuid,
        action: &'static str,
        change: impl AsyncFnOnce(&tokio_postgres::Transaction<'_>) -> Result<u64, tokio_postgres::Error>,
        reason: &str,
    ) -> Result<Exemption, Error> {
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        let changed = change(&transaction).await?;
        let row = transaction
            .query_opt(
                include_str!("../sql/select_exemption.sql"),
                &[&id, &who.tenant_id.as_str()],
            )
            .await?;
        let exemption = read(&row.ok_or(Error::NotFound("exemption", id))?)?;
        if changed > 0 {
            let entry = Entry {
                rationale: reason.to_owned(),
                metadata: Metadata::default()
                    .with("capabilityId", exemption.capability_id.as_str())
                    .with("expiresAt", exemption.expires_at),
                ..Entry::new(who.actor(), action, id.to_string())
            };
            audit::append(&transaction, &who.tenant_id, entry).await?;
        }
        transaction.commit().await?;
        Ok(exemption)
    }

    /// Exemptions by id, after the one named.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn exemptions(
        &self,
        tenant: &TenantId,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Exemption>, Error> {
        let client = self.postgres().client().await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = client
            .query(
                include_str!("../sql/select_exemptions.sql"),
                &[&tenant.as_str(), &after.unwrap_or(Uuid::nil()), &limit],
            )
            .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }
}

//! Quotas: how often an actor may use a capability for an owner in an hour, and how often a principal may ask in a minute.
//!
//! Invariant: of any number who ask at once, exactly as many get through as the limit says; the clock is the database's.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{GenericClient, Row};

use super::{
    Governance, Who,
    capability::CapabilityId,
    decide::ReasonCode,
    error::{self, Error, Refusal},
};
use crate::{
    audit::{self, Entry, Metadata},
    digest::Digest,
    ids::{ActorId, TenantId},
};

/// How long old windows are kept, in seconds.
pub(super) const KEPT_SECONDS: i32 = 7 * 24 * 3600;

/// Stands for every capability that is not defined; no id is written like this.
pub(super) const UNDEFINED: &str = "*";

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Executions in an hour.
    Quota,
    /// Proposals in a minute.
    Propose,
    /// Attempts to execute in a minute.
    Execute,
    /// Dry runs in a minute.
    DryRun,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Propose => "propose",
            Self::Execute => "execute",
            Self::DryRun => "dry_run",
        }
    }

    const fn window_seconds(self) -> i32 {
        match self {
            Self::Quota => 3600,
            Self::Propose | Self::Execute | Self::DryRun => 60,
        }
    }
}

/// What is counted together.
#[derive(Debug)]
pub(super) struct Bucket<'a> {
    pub(super) purpose: Purpose,
    pub(super) tenant_id: &'a TenantId,
    pub(super) owner_id: &'a str,
    pub(super) actor_id: &'a str,
    pub(super) capability_id: &'a str,
    pub(super) limit: u32,
}

impl Bucket<'_> {
    fn name(&self) -> String {
        let parts = [
            self.purpose.as_str(),
            self.tenant_id.as_str(),
            self.owner_id,
            self.actor_id,
            self.capability_id,
        ];
        // Every part with its length, so that no two buckets have one name.
        let text: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
        Digest::of(text.as_bytes()).to_string()
    }
}

/// A quota as it is used now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CapabilityQuota")]
pub struct Quota {
    /// Its name, by which it is reset.
    pub bucket: String,
    /// Whose it is.
    pub owner_id: String,
    /// Who uses it.
    pub actor_id: String,
    /// For what.
    pub capability_id: String,
    /// When the hour began.
    pub window_start: Timestamp,
    /// How often it was used in it.
    pub used: i32,
    /// How often it may be.
    pub limit: i32,
}

/// Takes one; or says when there is more.
pub(super) async fn take(
    client: &impl GenericClient,
    bucket: &Bucket<'_>,
) -> Result<Result<(), Refusal>, tokio_postgres::Error> {
    let limit = i32::try_from(bucket.limit).unwrap_or(i32::MAX);
    let row = client
        .query_one(
            include_str!("../sql/take_capability_quota.sql"),
            &[
                &bucket.name(),
                &bucket.purpose.window_seconds(),
                &limit,
                &bucket.purpose.as_str(),
                &bucket.tenant_id.as_str(),
                &bucket.owner_id,
                &bucket.actor_id,
                &bucket.capability_id,
            ],
        )
        .await?;
    if row.get("taken") {
        return Ok(Ok(()));
    }
    let seconds: i32 = row.get("retry_after");
    Ok(Err(Refusal {
        code: ReasonCode::RateLimited,
        detail: Some(match bucket.purpose {
            Purpose::Quota => format!("{limit} in an hour"),
            Purpose::Propose => format!("{limit} proposals in a minute"),
            Purpose::Execute => format!("{limit} executions in a minute"),
            Purpose::DryRun => format!("{limit} dry runs in a minute"),
        }),
        retry_after_seconds: Some(u32::try_from(seconds).unwrap_or(1).max(1)),
    }))
}

/// How much of a quota is used in this hour.
pub(super) async fn used(client: &impl GenericClient, bucket: &Bucket<'_>) -> Result<i32, tokio_postgres::Error> {
    let row = client
        .query_opt(
            include_str!("../sql/select_capability_quota_use.sql"),
            &[
                &bucket.name(),
                &bucket.tenant_id.as_str(),
                &bucket.purpose.window_seconds(),
            ],
        )
        .await?;
    Ok(row.map_or(0, |row| row.get("used")))
}

fn read(row: &Row) -> Quota {
    Quota {
        bucket: row.get("bucket"),
        owner_id: row.get("owner_id"),
        actor_id: row.get("actor_id"),
        capability_id: row.get("capability_id"),
        window_start: row.get("window_start"),
        used: row.get("used"),
        limit: row.get("most"),
    }
}

impl Governance {
    /// The quotas that are used in this hour, by bucket, after the one named.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn quotas(&self, tenant: &TenantId, after: Option<&str>, limit: usize) -> Result<Vec<Quota>, Error> {
        let client = self.postgres().client().await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = client
            .query(
                include_str!("../sql/select_capability_quotas.sql"),
                &[&tenant.as_str(), &after.unwrap_or_default(), &limit],
            )
            .await?;
        Ok(rows.iter().map(read).collect())
    }

    /// Sets what was used of a quota in this hour back to nothing; none where there is no such quota.
    ///
    /// # Errors
    /// A reason that says too little is refused; else those of the database.
    pub async fn reset_quota(&self, who: &Who, bucket: &str, reason: &str) -> Result<Option<Quota>, Error> {
        let reason = error::reason(reason)?;
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        let row = transaction
            .query_opt(
                include_str!("../sql/reset_capability_quota.sql"),
                &[&bucket, &who.tenant_id.as_str()],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (quota, before): (Quota, i32) = (read(&row), row.get("before"));
        let entry = Entry {
            rationale: reason.to_owned(),
            metadata: Metadata::default()
                .with("ownerId", quota.owner_id.as_str())
                .with("actorId", quota.actor_id.as_str())
                .with("capabilityId", quota.capability_id.as_str())
                .with("used", before),
            ..Entry::new(who.actor(), "capability.quota.reset", bucket)
        };
        audit::append(&transaction, &who.tenant_id, entry).await?;
        transaction.commit().await?;
        Ok(Some(quota))
    }

    /// Counts an attempt against the rate of a minute. The first that is too many is recorded.
    pub(super) async fn rate(&self, who: &Who, purpose: Purpose, capability: &str, limit: u32) -> Result<(), Error> {
        let bucket = Bucket {
            purpose,
            tenant_id: &who.tenant_id,
            owner_id: "",
            actor_id: &who.principal,
            capability_id: capability,
            limit,
        };
        let mut client = self.postgres().client().await?;
        let Err(refusal) = take(&**client, &bucket).await? else {
            return Ok(());
        };
        let transaction = client.transaction().await?;
        // One record for each window: a flood must not fill the trail.
        let first = transaction
            .execute(
                include_str!("../sql/note_rate_limited.sql"),
                &[&bucket.name(), &who.tenant_id.as_str(), &purpose.window_seconds()],
            )
            .await?;
        if first == 1 {
            let entry = Entry {
                approval_state: audit::ApprovalState::Denied,
                metadata: Metadata::default()
                    .with("purpose", purpose.as_str())
                    .with("limit", limit)
                    .with("actorId", who.actor_id.as_str()),
                ..Entry::new(who.actor(), "capability.rate_limited", capability)
            };
            audit::append(&transaction, &who.tenant_id, entry).await?;
        }
        transaction.commit().await?;
        Err(refusal.into())
    }

    pub(super) fn owner_bucket<'a>(
        tenant_id: &'a TenantId,
        owner_id: &'a ActorId,
        actor_id: &'a ActorId,
        capability_id: &'a CapabilityId,
        limit: u32,
    ) -> Bucket<'a> {
        Bucket {
            purpose: Purpose::Quota,
            tenant_id,
            owner_id: owner_id.as_str(),
            actor_id: actor_id.as_str(),
            capability_id: capability_id.as_str(),
            limit,
        }
    }
}

//! The sweep: what was dispatched and never came to an end is called unknown; what only counts is not kept for ever.
//!
//! Invariant: it decides nothing and dispatches nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Governance, error::Error, quotas::KEPT_SECONDS};
use crate::{
    audit::{self, Actor, ApprovalState, Entry, Metadata},
    ids::TenantId,
};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(30);
/// The most executions of one look; more of them follow at the next.
const MOST: i64 = 100;

/// Looks after executions that nobody looks after any more.
pub struct Service {
    governance: Governance,
    every: Duration,
}

impl Service {
    /// A service that looks every 30 seconds.
    #[must_use]
    pub fn new(governance: Governance) -> Self {
        Self {
            governance,
            every: EVERY,
        }
    }

    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut noted = false;
        loop {
            if !noted {
                noted = match self.governance.note_policy().await {
                    Ok(()) => true,
                    Err(error) => {
                        tracing::warn!(error = %error, "the policy could not be noted; trying again");
                        false
                    }
                };
            }
            match self.governance.sweep().await {
                Ok(0) => {}
                Ok(count) => tracing::warn!(count, "executions have an unknown outcome"),
                Err(error) => tracing::warn!(error = %error, "executions could not be looked after; trying again"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }
}

impl Governance {
    /// Calls unknown what is past its time; says how many there were. [`Service::run`] is this in a loop.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let mut client = self.postgres().client().await?;
        client
            .execute(include_str!("../sql/delete_old_quota_windows.sql"), &[&KEPT_SECONDS])
            .await?;
        let rows = client
            .query(include_str!("../sql/select_overdue_executions.sql"), &[&MOST])
            .await?;
        let mut count = 0;
        for row in rows {
            let (execution, proposal): (Uuid, Uuid) = (row.get("execution_id"), row.get("proposal_id"));
            let Ok(tenant) = TenantId::new(row.get::<_, &str>("tenant_id")) else {
                continue;
            };
            let transaction = client.transaction().await?;
            let changed = transaction
                .execute(
                    include_str!("../sql/give_up_execution.sql"),
                    &[&execution, &tenant.as_str()],
                )
                .await?;
            if changed == 1 {
                let started: Timestamp = row.get("started_at");
                let entry = Entry {
                    approval_state: ApprovalState::NotRequired,
                    metadata: Metadata::default()
                        .with("executionId", execution)
                        .with("status", "unknown")
                        .with("startedAt", started)
                        .with("replicaId", row.get::<_, &str>("replica_id")),
                    ..Entry::new(
                        Actor::system(self.0.replica_id.as_str()),
                        "capability.outcome",
                        proposal.to_string(),
                    )
                };
                audit::append(&transaction, &tenant, entry).await?;
                transaction.commit().await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Keeps what the policy of this process says, and records when it is one that was not seen before.
    async fn note_policy(&self) -> Result<(), Error> {
        let document = self.policy().document();
        let version = crate::digest::Digest::of_json(&document)?;
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        let new = transaction
            .execute(
                "INSERT INTO brain_capability_policies (policy_version, document) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                &[&version.to_string(), &json!(document)],
            )
            .await?;
        if new == 1 {
            let capabilities = self.policy().capabilities().map(|one| one.definition.id.to_string());
            let entry = Entry {
                metadata: Metadata::default()
                    .with("policyVersion", self.policy().version())
                    .with("capabilities", capabilities.collect::<Vec<_>>()),
                ..Entry::new(
                    Actor::system(self.0.replica_id.as_str()),
                    "policy.change",
                    version.to_string(),
                )
            };
            audit::append(&transaction, &TenantId::single(), entry).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

//! The kill switch: one for the whole installation, one for each tenant.
//!
//! Invariants: whoever dispatches looks at the switch under a lock, and holds that until the order has left; whoever presses it waits
//! for those, so nothing leaves after the commit, on any replica. Where one hangs with the lock in its hands, the switch is turned on
//! all the same after a moment, and whoever pressed waits for that one behind the commit: when pressing has returned, nothing leaves
//! any more, and what hangs keeps the answer waiting and not the switch. The locks are the database's own queue, so that many who dispatch cannot keep the one who
//! presses waiting for ever.

use brain_connectivity::postgres;
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{GenericClient, Transaction, error::SqlState};
use uuid::Uuid;

use super::{
    Governance, Who,
    error::{self, Error},
};
use crate::{
    audit::{self, Entry, Metadata},
    ids::TenantId,
};

/// How the switch of the installation is called where tenants stand.
const INSTALLATION: &str = "*";
/// The space of our advisory locks for this.
const LOCK_SPACE: i32 = 0x4b53_5721;

/// How long the switch waits for those who have looked and not sent yet, before it is turned on all the same.
const PATIENCE: &str = "SET LOCAL lock_timeout = '1500ms'; SET LOCAL statement_timeout = 0";

/// Whose dispatching is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "KillSwitchReach")]
pub enum Reach {
    /// That of the caller's tenant.
    Tenant,
    /// That of everybody.
    Installation,
}

impl Reach {
    fn key(self, tenant: &TenantId) -> &str {
        match self {
            Self::Tenant => tenant.as_str(),
            Self::Installation => INSTALLATION,
        }
    }
}

/// How a switch stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "KillSwitch")]
pub struct Switch {
    /// Whose it is.
    pub reach: Reach,
    /// Whether it is on, so that nothing is dispatched.
    pub enabled: bool,
    /// Why it was changed last.
    pub reason: String,
    /// Who changed it last; nobody, where it never was.
    pub changed_by: String,
    /// When.
    pub changed_at: Option<Timestamp>,
}

impl Governance {
    /// How the switches that concern a tenant stand: its own, and that of the installation.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn kill_switches(&self, tenant: &TenantId) -> Result<Vec<Switch>, Error> {
        let client = self.postgres().client().await?;
        let rows = client
            .query(include_str!("../sql/select_kill_switches.sql"), &[&tenant.as_str()])
            .await?;
        let found = |reach: Reach| {
            let row = rows
                .iter()
                .find(|row| row.get::<_, &str>("tenant_id") == reach.key(tenant));
            Switch {
                reach,
                enabled: row.is_some_and(|row| row.get("enabled")),
                reason: row.map_or_else(String::new, |row| row.get("reason")),
                changed_by: row.map_or_else(String::new, |row| row.get("actor_id")),
                changed_at: row
                    .filter(|row| !row.get::<_, &str>("actor_id").is_empty())
                    .map(|row| row.get("changed_at")),
            }
        };
        Ok(vec![found(Reach::Tenant), found(Reach::Installation)])
    }

    /// Turns a switch on or off. When this has returned, everything holds to it.
    ///
    /// # Errors
    /// A reason that says too little is refused. [`Error::Unsettled`]: it is on, and somebody who looked before may still send. Else
    /// those of the database.
    pub async fn set_kill_switch(
        &self,
        who: &Who,
        reach: Reach,
        enabled: bool,
        reason: &str,
    ) -> Result<Vec<Switch>, Error> {
        let reason = error::reason(reason)?;
        let key = reach.key(&who.tenant_id);
        let mut client = self.postgres().client().await?;
        let mut transaction = client.transaction().await?;
        let alone = enabled && alone(&mut transaction, key).await?;
        transaction
            .execute(
                include_str!("../sql/set_kill_switch.sql"),
                &[&key, &enabled, &reason, &who.principal, &Uuid::now_v7()],
            )
            .await?;
        let entry = Entry {
            rationale: reason.to_owned(),
            metadata: Metadata::default().with("enabled", enabled).with(
                "reach",
                match reach {
                    Reach::Tenant => "tenant",
                    Reach::Installation => "installation",
                },
            ),
            ..Entry::new(who.actor(), "capability.kill_switch", key)
        };
        audit::append(&transaction, &who.tenant_id, entry).await?;
        transaction.commit().await?;
        if enabled {
            tracing::warn!(reach = key, by = %who.principal, "kill switch on: nothing is dispatched any more");
            if !alone {
                settled(&mut client, key).await.map_err(Error::Unsettled)?;
            }
        } else {
            tracing::warn!(reach = key, by = %who.principal, "kill switch off");
        }
        drop(client);
        self.kill_switches(&who.tenant_id).await
    }
}

/// Waits a moment until nobody has looked and not sent yet; whether that came to be. It then stays so until the commit.
async fn alone(transaction: &mut deadpool_postgres::Transaction<'_>, key: &str) -> Result<bool, postgres::Error> {
    let attempt = transaction.savepoint("alone").await?;
    attempt.batch_execute(PATIENCE).await?;
    let locked = attempt
        .execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", &[&LOCK_SPACE, &key])
        .await;
    match locked {
        Ok(_) => {
            attempt
                .batch_execute("SET LOCAL lock_timeout TO DEFAULT; SET LOCAL statement_timeout TO DEFAULT")
                .await?;
            attempt.commit().await?;
            Ok(true)
        }
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            attempt.rollback().await?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Waits until everybody who looked before the switch was on has let go.
async fn settled(client: &mut deadpool_postgres::Client, key: &str) -> Result<(), postgres::Error> {
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", &[&LOCK_SPACE, &key])
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Whether a switch is on that concerns the tenant. Whoever turns it on meanwhile waits until this transaction ends.
pub(super) async fn is_on(transaction: &Transaction<'_>, tenant: &TenantId) -> Result<bool, tokio_postgres::Error> {
    transaction
        .execute(
            "SELECT pg_advisory_xact_lock_shared($1, hashtext($2)), pg_advisory_xact_lock_shared($1, hashtext($3))",
            &[&LOCK_SPACE, &INSTALLATION, &tenant.as_str()],
        )
        .await?;
    // A statement of its own: it sees what was committed while the locks were waited for.
    glance(transaction, tenant).await
}

/// Whether a switch is on at this moment.
pub(super) async fn glance(client: &impl GenericClient, tenant: &TenantId) -> Result<bool, tokio_postgres::Error> {
    let rows = client
        .query(include_str!("../sql/select_kill_switches.sql"), &[&tenant.as_str()])
        .await?;
    Ok(rows.iter().any(|row| row.get("enabled")))
}

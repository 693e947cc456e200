//! The fence before each dispatch: the last look at the kill switch, held while the order leaves.
//!
//! Invariant: between the look and the moment at which the request has left, nobody can press the switch.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use brain_connectivity::postgres::{self, Postgres};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    executor::{Fence, NotSent, Passing},
    kill_switch,
};
use crate::ids::TenantId;

/// An executor that holds its passing longer has lost it.
const LONGEST_PASSING: Duration = Duration::from_secs(5);
/// How long after it was asked for a passing may be used; a request that begins then has left before the lock goes.
const USABLE: Duration = Duration::from_secs(3);
/// So long the database keeps the lock of a session that says nothing: longer than a passing.
const KEEP: &str = "SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// The fence of one execution.
pub(super) struct SwitchFence {
    pub(super) postgres: Postgres,
    pub(super) tenant_id: TenantId,
    pub(super) execution_id: Uuid,
}

/// Dropped when the request has left.
struct Release(#[allow(dead_code, reason = "its end is what counts")] oneshot::Sender<()>);

#[async_trait]
impl Fence for SwitchFence {
    async fn pass(&self) -> Result<Passing, NotSent> {
        let (granted, grant) = oneshot::channel();
        let (postgres, tenant, execution) = (self.postgres.clone(), self.tenant_id.clone(), self.execution_id);
        tokio::spawn(async move {
            if let Err(error) = hold(&postgres, &tenant, execution, granted).await {
                tracing::warn!(execution.id = %execution, error = %error, "the fence of an execution broke");
            }
        });
        let asked = Instant::now();
        match grant.await {
            // Counted from before the look, so that it ends here first.
            Ok(answer) => answer.map(|release| Passing::for_at_most(release, USABLE.saturating_sub(asked.elapsed()))),
            Err(_) => Err(NotSent::Unreachable(
                "the database did not answer whether the kill switch is on".to_owned(),
            )),
        }
    }
}

async fn hold(
    postgres: &Postgres,
    tenant: &TenantId,
    execution: Uuid,
    granted: oneshot::Sender<Result<Release, NotSent>>,
) -> Result<(), postgres::Error> {
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute(KEEP).await?;
    if kill_switch::is_on(&transaction, tenant).await? {
        // Whoever asked has gone; nothing was sent either way.
        let _ = granted.send(Err(NotSent::Stopped));
        return Ok(());
    }
    let open = transaction
        .execute(
            include_str!("../sql/note_execution_sent.sql"),
            &[&execution, &tenant.as_str()],
        )
        .await?;
    if open != 1 {
        let _ = granted.send(Err(NotSent::Refused("its time is over: nothing was sent".to_owned())));
        return Ok(());
    }
    let (release, released) = oneshot::channel();
    if granted.send(Ok(Release(release))).is_ok() {
        let _ = tokio::time::timeout(LONGEST_PASSING, released).await;
        transaction.commit().await?;
    }
    Ok(())
}

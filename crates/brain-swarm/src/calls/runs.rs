//! Calls about runs.

use serde_json::{Value, json};

use super::{Calls, Error, Scope};
use crate::{
    decide::Refusal,
    event::EventType,
    ids::{ActorId, RunId},
    runs::{self, StoredRun},
};

/// How many batches of tasks a call cancels before it answers; the sweep does the rest.
const BATCHES: usize = 100;

impl Calls {
    /// Calls a run off: its open tasks are cancelled, in batches, and none is created in it any more.
    ///
    /// # Errors
    /// A run that was called off before is refused, and so is one that nobody knows.
    pub async fn cancel_run(
        &self,
        scope: &Scope,
        run: &RunId,
        actor: &ActorId,
        reason: Option<&str>,
    ) -> Result<StoredRun, Error> {
        self.run(scope, run).await?;
        let payload = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
        let event = self.event(scope, Some(run.clone()), EventType::RunCancelled, actor, payload)?;
        self.one(event).await?;
        self.settle_all(scope).await?;
        self.run(scope, run).await
    }

    /// Ends a run, and sums it up.
    ///
    /// # Errors
    /// A run that ended before is refused, and so is one that nobody knows.
    pub async fn finish_run(
        &self,
        scope: &Scope,
        run: &RunId,
        actor: &ActorId,
        summary: Option<Value>,
    ) -> Result<StoredRun, Error> {
        self.run(scope, run).await?;
        let payload = summary.map_or_else(|| json!({}), |summary| json!({ "summary": summary }));
        let event = self.event(scope, Some(run.clone()), EventType::RunFinished, actor, payload)?;
        self.one(event).await?;
        self.run(scope, run).await
    }

    async fn run(&self, scope: &Scope, run: &RunId) -> Result<StoredRun, Error> {
        runs::get(&self.postgres, &scope.tenant_id, &scope.swarm_id, run)
            .await?
            .ok_or(Error::NotFound(Refusal::UnknownRun))
    }

    /// Settles until nothing is left, within bounds.
    pub(super) async fn settle_all(&self, scope: &Scope) -> Result<(), Error> {
        for _ in 0..BATCHES {
            let settled = self
                .publisher
                .settle(scope.tenant_id.clone(), scope.swarm_id.clone())
                .await?;
            if settled == 0 {
                break;
            }
        }
        Ok(())
    }
}

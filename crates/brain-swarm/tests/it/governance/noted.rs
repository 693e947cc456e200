//! An outcome that the database does not take at once.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use brain_connectivity::postgres::Postgres;
use brain_swarm::governance::{
    Execute, Governance, Options,
    executor::{Executor, Fence, Order, Outcome},
    policy::Policy,
    proposal::ExecutionStatus,
};
use serde_json::json;

use super::desk::{Desk, POLICY, new, person};

/// Longer than a statement may take here, and shorter than outcomes are tried for.
const AWAY: Duration = Duration::from_millis(2500);

/// Does what it is told, and has somebody else hold the end of the audit trail when it is done.
#[derive(Debug)]
struct Blocking(Postgres);

#[async_trait]
impl Executor for Blocking {
    async fn carry_out(&self, _order: &Order, fence: &dyn Fence) -> Outcome {
        drop(fence.pass().await.unwrap());
        let client = self.0.client().await.unwrap();
        let hold = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT FROM brain_audit_heads FOR UPDATE";
        client.batch_execute(hold).await.unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(AWAY).await;
            client.batch_execute("COMMIT").await.unwrap();
        });
        Outcome::Succeeded {
            output: "true".to_owned(),
        }
    }
}

/// An outcome whose record was not taken once was given up at once, and so became unknown although it was known.
#[tokio::test]
async fn an_outcome_is_noted_although_its_record_is_not_taken_at_once() {
    let desk = Desk::new().await;
    let mut settings = desk.world.config.postgres.clone();
    settings.query_timeout = Duration::from_secs(1);
    let holder = desk.world.postgres.clone();
    let governance = Governance::new(Options {
        postgres: Postgres::open(&settings).unwrap(),
        policy: Policy::parse(POLICY).unwrap(),
        executor: Box::new(move |_| Arc::new(Blocking(holder.clone()))),
        notices: None,
        replica_id: "replica-1".to_owned(),
    });
    let who = person("builder");
    let it = governance.propose(&who, new("mail.read", json!({}))).await.unwrap();
    let it = governance
        .execute(&who, it.proposal_id, &Execute::default())
        .await
        .unwrap();
    assert_eq!(it.executions[0].status, ExecutionStatus::Succeeded);
}

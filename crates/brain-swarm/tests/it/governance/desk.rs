//! A database with a policy, people and an agent, and an executor that notes what it is asked to do.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use brain_connectivity::postgres::Postgres;
use brain_swarm::{
    governance::{
        Decision, Error, Execute, Governance, NewProposal, Options, Who,
        decide::ReasonCode,
        executor::{Executor, Fence, Order, Outcome},
        policy::Policy,
        proposal::StoredProposal,
    },
    ids::{ActorId, TenantId},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::World;

pub(crate) const WHY: &str = "because it has to be done";

pub(crate) const POLICY: &str = r#"
    [policy]
    proposals_per_minute = 10000
    executions_per_minute = 10000

    [[capability]]
    id = "mail.send"
    target = "mail"
    max_calls_per_hour = 100000
    input_schema = '{"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}}'
    executor = { type = "webhook", url = "https://mail.example/send", rollback_url = "https://mail.example/unsend" }

    [[capability]]
    id = "mail.read"
    target = "mail"
    read_only = true
    requires_approval = false
    max_calls_per_hour = 7
    executor = { type = "webhook", url = "https://mail.example/read" }

    [[capability]]
    id = "money.pay"
    target = "bank"
    approval_mode = "two_person"
    executor = { type = "webhook", url = "https://bank.example/pay" }

    [[intake]]
    id = "secrets"
    pattern = "password"
    reason = "It may give a secret away."
"#;

/// What was asked of the executor, and when it left.
#[derive(Debug, Default)]
pub(crate) struct Sent(Mutex<Vec<(Order, Timestamp)>>);

impl Sent {
    pub(crate) fn all(&self) -> Vec<(Order, Timestamp)> {
        self.0.lock().unwrap().clone()
    }
}

/// Passes the fence, sends nothing anywhere, and answers as it is told.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) sent: Arc<Sent>,
    pub(crate) outcome: Option<Outcome>,
    /// How long the request takes to leave.
    pub(crate) sending: Duration,
}

#[async_trait]
impl Executor for Recorder {
    async fn carry_out(&self, order: &Order, fence: &dyn Fence) -> Outcome {
        let passing = match fence.pass().await {
            Ok(passing) => passing,
            Err(reason) => return Outcome::NotSent { reason },
        };
        tokio::time::sleep(self.sending).await;
        self.sent.0.lock().unwrap().push((order.clone(), Timestamp::now()));
        drop(passing);
        self.outcome.clone().unwrap_or_else(|| Outcome::Succeeded {
            output: order.input.clone(),
        })
    }
}

pub(crate) struct Desk {
    pub(crate) world: World,
    pub(crate) governance: Governance,
    pub(crate) sent: Arc<Sent>,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::under(POLICY).await
    }

    pub(crate) async fn under(policy: &str) -> Self {
        Self::over(World::new().await, policy)
    }

    pub(crate) fn over(world: World, policy: &str) -> Self {
        let sent = Arc::new(Sent::default());
        let governance = governance(world.postgres.clone(), policy, &sent, None, Duration::ZERO);
        Self {
            world,
            governance,
            sent,
        }
    }

    /// The same database under another policy, or with another executor.
    pub(crate) fn beside(&self, policy: &str, outcome: Option<Outcome>) -> Governance {
        governance(self.world.postgres.clone(), policy, &self.sent, outcome, Duration::ZERO)
    }

    pub(crate) async fn propose(&self, who: &Who, capability: &str, input: Value) -> StoredProposal {
        self.governance.propose(who, new(capability, input)).await.unwrap()
    }

    pub(crate) async fn approved(&self, who: &Who) -> Uuid {
        let it = self.propose(who, "mail.send", json!({"to": "a"})).await;
        self.approve(it.proposal_id).await.unwrap();
        it.proposal_id
    }

    pub(crate) async fn approve(&self, id: Uuid) -> Result<StoredProposal, Error> {
        self.governance.resolve(&person("boss"), id, approve(false), WHY).await
    }

    pub(crate) async fn execute(&self, who: &Who, id: Uuid) -> Result<StoredProposal, Error> {
        self.governance.execute(who, id, &Execute::default()).await
    }

    pub(crate) async fn sql(&self, statement: &str) {
        let client = self.world.postgres.client().await.unwrap();
        client.batch_execute(statement).await.unwrap();
    }

    pub(crate) async fn count(&self, query: &str) -> i64 {
        let client = self.world.postgres.client().await.unwrap();
        client.query_one(query, &[]).await.unwrap().get(0)
    }
}

pub(crate) fn governance(
    postgres: Postgres,
    policy: &str,
    sent: &Arc<Sent>,
    outcome: Option<Outcome>,
    sending: Duration,
) -> Governance {
    let sent = Arc::clone(sent);
    Governance::new(Options {
        postgres,
        policy: Policy::parse(policy).unwrap(),
        executor: Box::new(move |_| {
            Arc::new(Recorder {
                sent: Arc::clone(&sent),
                outcome: outcome.clone(),
                sending,
            })
        }),
        notices: Some(Arc::new(|| {})),
        replica_id: "replica-1".to_owned(),
    })
}

/// Approves whatever the definition is.
pub(crate) fn approve(overrule: bool) -> Decision {
    Decision::Approve {
        overrule,
        definition_digest: None,
    }
}

pub(crate) fn new(capability: &str, input: Value) -> NewProposal {
    NewProposal {
        capability_id: capability.parse().unwrap(),
        input,
        rationale: WHY.to_owned(),
        summary: "Do it.".to_owned(),
        expected_effects: vec!["It is done.".to_owned()],
        delegation_id: None,
    }
}

pub(crate) fn person(name: &str) -> Who {
    Who {
        principal: format!("token:{name}"),
        actor_id: ActorId::new(name).unwrap(),
        tenant_id: TenantId::single(),
        agent: false,
        covers: Arc::new(|_| true),
    }
}

pub(crate) fn agent(name: &str) -> Who {
    Who {
        agent: true,
        ..person(name)
    }
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> ReasonCode {
    match result {
        Err(Error::Refused(refusal)) => refusal.code,
        other => panic!("not refused: {other:?}"),
    }
}

//! An agent acts through a delegation of an owner, and through nothing else.

use brain_swarm::{
    governance::{
        Error, Execute, NewProposal, Who,
        decide::ReasonCode,
        delegations::{NewDelegation, StoredDelegation},
    },
    ids::{ActorId, TenantId},
};
use serde_json::json;
use uuid::Uuid;

use super::desk::{Desk, WHY, agent, approve, code, new, person};

async fn delegate(desk: &Desk, scopes: &[&str]) -> StoredDelegation {
    let new = NewDelegation {
        owner_id: ActorId::new("boss").unwrap(),
        agent_id: ActorId::new("robot").unwrap(),
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        expires_in_ms: 60_000,
        reason: WHY.to_owned(),
    };
    desk.governance.delegate(&person("boss"), &new).await.unwrap()
}

fn through(delegation: Uuid) -> NewProposal {
    NewProposal {
        delegation_id: Some(delegation),
        ..new("mail.read", json!({}))
    }
}

#[tokio::test]
async fn each_thing_that_is_wrong_with_a_delegation_has_its_code_and_its_record() {
    let desk = Desk::new().await;
    let robot = agent("robot");
    let propose = |who: Who, new: NewProposal| {
        let governance = desk.governance.clone();
        async move { governance.propose(&who, new).await }
    };
    assert_eq!(
        code(propose(robot.clone(), new("mail.read", json!({}))).await),
        ReasonCode::DelegationMissing
    );
    assert_eq!(
        code(propose(robot.clone(), through(Uuid::now_v7())).await),
        ReasonCode::DelegationMissing
    );
    let good = delegate(&desk, &["capability:mail.read:execute"]).await;
    assert_eq!(
        code(propose(agent("other"), through(good.delegation_id)).await),
        ReasonCode::DelegationAgentMismatch
    );
    let narrow = delegate(&desk, &["capability:mail.send:execute"]).await;
    assert_eq!(
        code(propose(robot.clone(), through(narrow.delegation_id)).await),
        ReasonCode::DelegationScopeMissing
    );
    let foreign = Who {
        tenant_id: TenantId::new("other").unwrap(),
        ..robot.clone()
    };
    assert_eq!(
        code(propose(foreign, through(good.delegation_id)).await),
        ReasonCode::DelegationMissing,
        "another tenant"
    );

    let it = propose(robot.clone(), through(good.delegation_id)).await.unwrap();
    assert_eq!((it.actor_id.as_str(), it.owner_id.as_str()), ("robot", "boss"));
    let other_owner = NewDelegation {
        owner_id: ActorId::new("chief").unwrap(),
        agent_id: robot.actor_id.clone(),
        scopes: vec!["capability:*:execute".parse().unwrap()],
        expires_in_ms: 60_000,
        reason: WHY.to_owned(),
    };
    let chief = desk.governance.delegate(&person("chief"), &other_owner).await.unwrap();
    let given = Execute {
        delegation_id: Some(chief.delegation_id),
        ..Execute::default()
    };
    let refused = desk.governance.execute(&robot, it.proposal_id, &given).await;
    assert_eq!(code(refused), ReasonCode::DelegationOwnerMismatch);
    desk.execute(&robot, it.proposal_id).await.unwrap();

    let it = propose(robot.clone(), through(good.delegation_id)).await.unwrap();
    desk.sql("UPDATE brain_capability_delegations SET expires_at = now()")
        .await;
    assert_eq!(
        code(desk.execute(&robot, it.proposal_id).await),
        ReasonCode::DelegationExpired
    );
    let stranger = ActorId::new("stranger").unwrap();
    let boss = person("boss");
    let foreign = desk
        .governance
        .revoke_delegation(&boss, good.delegation_id, Some(&stranger), WHY)
        .await;
    assert!(matches!(foreign, Err(Error::NotFound(..))));
    desk.governance
        .revoke_delegation(&boss, good.delegation_id, None, WHY)
        .await
        .unwrap();
    desk.governance
        .revoke_delegation(&boss, good.delegation_id, None, WHY)
        .await
        .unwrap();
    assert_eq!(
        code(desk.execute(&robot, it.proposal_id).await),
        ReasonCode::DelegationRevoked
    );

    let refusals = "SELECT count(*) FROM brain_event_log WHERE action = 'capability.delegation.refused'";
    assert_eq!(desk.count(refusals).await, 8);
    let revoked = "SELECT count(*) FROM brain_event_log WHERE action = 'capability.delegation.revoke'";
    assert_eq!(desk.count(revoked).await, 1, "revoking again is nothing new");
    assert_eq!(desk.sent.all().len(), 1);
}

#[tokio::test]
async fn an_exemption_holds_for_its_time_and_its_capability() {
    let desk = Desk::new().await;
    let (who, boss) = (person("builder"), person("boss"));
    let id = "mail.send".parse().unwrap();
    let it = desk.propose(&who, "mail.send", json!({"to": "a"})).await;
    let exemption = desk.governance.exempt(&boss, &id, 60_000, WHY).await.unwrap();
    assert!(exemption.active);
    let done = desk.execute(&who, it.proposal_id).await.unwrap();
    assert_eq!(done.executions[0].exemption_id, Some(exemption.exemption_id));
    let it = desk.propose(&who, "mail.send", json!({"to": "a"})).await;
    let revoked = desk
        .governance
        .revoke_exemption(&boss, exemption.exemption_id, WHY)
        .await
        .unwrap();
    assert!(!revoked.active);
    assert_eq!(
        code(desk.execute(&who, it.proposal_id).await),
        ReasonCode::ApprovalRequired
    );
    desk.governance.exempt(&boss, &id, 60_000, WHY).await.unwrap();
    desk.sql("UPDATE brain_capability_exemption_events SET expires_at = now() WHERE action = 'granted'")
        .await;
    assert_eq!(
        code(desk.execute(&who, it.proposal_id).await),
        ReasonCode::ApprovalRequired
    );
    assert_eq!(
        desk.governance
            .exemptions(&who.tenant_id, None, 10)
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn another_tenant_sees_and_does_nothing() {
    let desk = Desk::new().await;
    let who = person("builder");
    let id = desk.approved(&who).await;
    let other = Who {
        tenant_id: TenantId::new("other").unwrap(),
        ..who.clone()
    };
    assert!(matches!(
        desk.execute(&other, id).await,
        Err(Error::NotFound("proposal", _))
    ));
    assert!(desk.governance.proposal(&other.tenant_id, id).await.unwrap().is_none());
    assert!(matches!(
        desk.governance.dry_run(&other, id, &Execute::default()).await,
        Err(Error::NotFound(..))
    ));
    desk.execute(&who, id).await.unwrap();
}

/// An owner could let an agent propose, and approve it as the second person.
#[tokio::test]
async fn the_owner_of_an_agent_is_not_the_second_person() {
    let desk = Desk::new().await;
    let delegation = delegate(&desk, &["capability:money.pay:execute"]).await;
    let proposed = NewProposal {
        capability_id: "money.pay".parse().unwrap(),
        ..through(delegation.delegation_id)
    };
    let it = desk.governance.propose(&agent("robot"), proposed).await.unwrap();
    assert_eq!(code(desk.approve(it.proposal_id).await), ReasonCode::BlockedByPolicy);
    let other = desk
        .governance
        .resolve(&person("other"), it.proposal_id, approve(false), WHY)
        .await;
    other.unwrap();
    desk.execute(&agent("robot"), it.proposal_id).await.unwrap();
}

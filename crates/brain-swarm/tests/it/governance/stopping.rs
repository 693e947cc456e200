//! The kill switch, pressed while three replicas dispatch as fast as they can.

use std::{sync::Arc, time::Duration};

use brain_connectivity::postgres::Postgres;
use brain_swarm::{
    governance::{Error, Execute, Who, decide::ReasonCode, kill_switch::Reach, proposal::ExecutionStatus},
    ids::TenantId,
};
use jiff::Timestamp;
use serde_json::json;

use super::desk::{Desk, POLICY, Sent, WHY, code, governance, person};
use crate::world::World;

const FREE: &str = "requires_approval = false\n    max_calls_per_hour = 100000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_after_the_switch_has_committed_on_any_replica() {
    let policy = POLICY.replace("requires_approval = false\n    max_calls_per_hour = 7", FREE);
    let desk = Desk::under(&policy).await;
    let sent = Arc::new(Sent::default());
    let who = person("builder");
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let postgres = Postgres::open(&desk.world.config.postgres).unwrap();
        let replica = governance(postgres, &policy, &sent, None, Duration::from_millis(3));
        for _ in 0..4 {
            let (replica, who) = (replica.clone(), who.clone());
            workers.spawn(async move {
                let mut ended = Vec::new();
                loop {
                    let new = super::desk::new("mail.read", json!({}));
                    let id = replica.propose(&who, new).await.unwrap().proposal_id;
                    match replica.execute(&who, id, &Execute::default()).await {
                        Ok(it) => ended.push(it.executions.last().unwrap().status),
                        Err(error) => break (code::<()>(Err(error)), ended),
                    }
                }
            });
        }
    }
    // A loaded machine takes its time to come to this.
    brain_testkit::eventually_within(Duration::from_secs(60), "there is load", async || {
        (sent.all().len() > 50).then_some(())
    })
    .await;
    let pressed = Timestamp::now();
    let boss = person("boss");
    desk.governance
        .set_kill_switch(&boss, Reach::Tenant, true, WHY)
        .await
        .unwrap();
    let committed = Timestamp::now();
    assert!(
        committed.duration_since(pressed) < jiff::SignedDuration::from_secs(5),
        "those who dispatch do not keep it waiting"
    );
    let mut dispatched = 0;
    while let Some(worker) = workers.join_next().await {
        let (last, ended) = worker.unwrap();
        assert_eq!(last, ReasonCode::BlockedByPolicy);
        // What was dispatched and had not left was stopped at the fence.
        assert!(
            ended
                .iter()
                .all(|status| matches!(status, ExecutionStatus::Succeeded | ExecutionStatus::Blocked))
        );
        dispatched += ended
            .iter()
            .filter(|status| **status == ExecutionStatus::Succeeded)
            .count();
    }
    let sent = sent.all();
    assert!(sent.len() > 50, "there was load: {}", sent.len());
    assert_eq!(sent.len(), dispatched);
    let late: Vec<_> = sent.iter().filter(|(_, at)| *at > committed).collect();
    assert!(
        late.is_empty(),
        "{} of {} left after the switch",
        late.len(),
        sent.len()
    );
}

#[tokio::test]
async fn the_switch_of_a_tenant_stops_that_one_and_that_of_the_installation_all() {
    let desk = Desk::new().await;
    let (who, boss) = (person("builder"), person("boss"));
    let other = Who {
        tenant_id: TenantId::new("other").unwrap(),
        ..who.clone()
    };
    let set = |reach, enabled| desk.governance.set_kill_switch(&boss, reach, enabled, WHY);
    let attempt = async |who: &Who| {
        let it = desk.propose(who, "mail.read", json!({})).await;
        desk.execute(who, it.proposal_id).await.map(drop)
    };
    set(Reach::Tenant, true).await.unwrap();
    assert_eq!(code(attempt(&who).await), ReasonCode::BlockedByPolicy);
    attempt(&other).await.unwrap();
    set(Reach::Tenant, false).await.unwrap();
    attempt(&who).await.unwrap();
    let switches = set(Reach::Installation, true).await.unwrap();
    assert_eq!(
        switches.iter().map(|one| one.enabled).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(code(attempt(&who).await), ReasonCode::BlockedByPolicy);
    assert_eq!(code(attempt(&other).await), ReasonCode::BlockedByPolicy);
    let brief = desk
        .governance
        .set_kill_switch(&boss, Reach::Installation, false, "ok")
        .await;
    assert_eq!(code(brief), ReasonCode::RationaleRequired);
    set(Reach::Installation, false).await.unwrap();
    attempt(&other).await.unwrap();
    assert_eq!(
        desk.count("SELECT count(*) FROM brain_capability_kill_switch_events")
            .await,
        4
    );
}

/// Somebody who looked and hangs once kept the switch off: it waited for the lock first, and gave up when a statement may take
/// no longer.
#[tokio::test]
async fn whoever_hangs_between_look_and_send_keeps_the_answer_waiting_and_not_the_switch() {
    let desk = Desk::new().await;
    let (who, boss) = (person("builder"), person("boss"));
    let mut hanging = desk.world.postgres.client().await.unwrap();
    let transaction = hanging.transaction().await.unwrap();
    let look = "SET LOCAL idle_in_transaction_session_timeout = 0;
                SELECT pg_advisory_xact_lock_shared(x'4b535721'::int, hashtext('default'))";
    transaction.batch_execute(look).await.unwrap();

    let governance = desk.governance.clone();
    let pressing = tokio::spawn(async move { governance.set_kill_switch(&boss, Reach::Tenant, true, WHY).await });
    brain_testkit::eventually("the switch is on", async || {
        let switches = desk.governance.kill_switches(&who.tenant_id).await.unwrap();
        switches[0].enabled.then_some(())
    })
    .await;
    assert!(!pressing.is_finished(), "it is not said to be settled");
    let it = desk.propose(&who, "mail.read", json!({})).await;
    let dry = desk
        .governance
        .dry_run(&who, it.proposal_id, &Execute::default())
        .await
        .unwrap();
    assert_eq!(dry.reason_code, ReasonCode::BlockedByPolicy);
    transaction.commit().await.unwrap();
    pressing.await.unwrap().unwrap();
    assert_eq!(
        code(desk.execute(&who, it.proposal_id).await),
        ReasonCode::BlockedByPolicy
    );
    assert!(desk.sent.all().is_empty());
}

/// A statement that may take less than the lock is waited for was cancelled, and the switch stayed off.
#[tokio::test]
async fn whoever_hangs_keeps_no_switch_off_where_statements_have_little_time() {
    let world = World::with(|config| config.postgres.query_timeout = Duration::from_millis(500)).await;
    let desk = Desk::over(world, POLICY);
    let mut hanging = desk.world.postgres.client().await.unwrap();
    let transaction = hanging.transaction().await.unwrap();
    let look = "SET LOCAL idle_in_transaction_session_timeout = 0;
                SELECT pg_advisory_xact_lock_shared(x'4b535721'::int, hashtext('default'))";
    transaction.batch_execute(look).await.unwrap();
    let unsettled = desk
        .governance
        .set_kill_switch(&person("boss"), Reach::Tenant, true, WHY)
        .await;
    assert!(matches!(unsettled, Err(Error::Unsettled(_))), "{unsettled:?}");
    let switches = desk.governance.kill_switches(&TenantId::single()).await.unwrap();
    assert!(switches[0].enabled, "it is on all the same");
}

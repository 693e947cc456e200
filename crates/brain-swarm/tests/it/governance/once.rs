//! What is executed is executed once, whoever asks how often, and whatever becomes of it.

use brain_swarm::governance::{
    Decision, Error, Execute,
    decide::ReasonCode,
    executor::{NotSent, Outcome},
    proposal::{ExecutionStatus, Status},
};
use futures_util::future::join_all;
use serde_json::json;

use super::desk::{Desk, POLICY, WHY, code, person};

#[tokio::test]
async fn a_hundred_who_execute_at_once_execute_once() {
    let desk = Desk::new().await;
    let who = person("builder");
    let id = desk.approved(&who).await;
    let all = join_all((0..100).map(|_| desk.execute(&who, id))).await;
    let (done, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (1, 99));
    assert!(refused.into_iter().all(|one| code(one) == ReasonCode::AlreadyExecuted));
    assert_eq!(desk.sent.all().len(), 1);
    let it = done.into_iter().next().unwrap().unwrap();
    assert_eq!(it.status, Status::Executed);
    let execution = &it.executions[0];
    assert_eq!(execution.status, ExecutionStatus::Succeeded);
    assert_eq!(execution.output, Some(json!({"to": "a"})));
    assert!(execution.sent_at.is_some());
    // One record each: proposed, approved, executed, its outcome, 99 refusals.
    let records = "SELECT count(*) FROM brain_event_log WHERE action = 'capability.execute'";
    assert_eq!(desk.count(records).await, 1);
    let records = "SELECT count(*) FROM brain_event_log WHERE action = 'capability.execute.refused'";
    assert_eq!(desk.count(records).await, 99);
    assert_eq!(desk.count("SELECT count(*) FROM brain_event_log").await, 103);
}

#[tokio::test]
async fn where_nothing_left_the_approval_is_as_good_as_before() {
    let desk = Desk::new().await;
    let who = person("builder");
    let id = desk.approved(&who).await;
    let away = Outcome::NotSent {
        reason: NotSent::Unreachable("nobody answers".to_owned()),
    };
    let broken = desk.beside(POLICY, Some(away));
    let it = broken.execute(&who, id, &Execute::default()).await.unwrap();
    assert_eq!(it.status, Status::Approved);
    assert_eq!(it.executions[0].status, ExecutionStatus::Blocked);
    assert_eq!(it.executions[0].error.as_deref(), Some("nobody answers"));
    let it = desk.execute(&who, id).await.unwrap();
    assert_eq!((it.status, it.executions.len()), (Status::Executed, 2));
    assert_eq!(code(desk.execute(&who, id).await), ReasonCode::AlreadyExecuted);
}

#[tokio::test]
async fn an_unknown_outcome_is_said_and_not_tried_again() {
    let desk = Desk::new().await;
    let who = person("builder");
    let id = desk.approved(&who).await;
    let cut = Outcome::Unknown {
        reason: "the connection was cut".to_owned(),
    };
    let broken = desk.beside(POLICY, Some(cut));
    let it = broken.execute(&who, id, &Execute::default()).await.unwrap();
    assert_eq!(
        (it.status, it.executions[0].status),
        (Status::Executed, ExecutionStatus::Unknown)
    );
    assert_eq!(code(desk.execute(&who, id).await), ReasonCode::AlreadyExecuted);
    assert_eq!(desk.governance.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_dead_replica_dispatched_becomes_unknown_when_its_time_is_over() {
    let desk = Desk::new().await;
    let who = person("builder");
    let id = desk.approved(&who).await;
    let it = desk.execute(&who, id).await.unwrap();
    // As if it had died between the dispatch and the note of its outcome.
    desk.sql("UPDATE brain_capability_executions SET status = 'dispatched', output = NULL, finished_at = NULL")
        .await;
    assert_eq!(desk.governance.sweep().await.unwrap(), 0, "its time is not over");
    desk.sql("UPDATE brain_capability_executions SET deadline = now() - interval '1 second'")
        .await;
    assert_eq!(desk.governance.sweep().await.unwrap(), 1);
    assert_eq!(desk.governance.sweep().await.unwrap(), 0);
    let tenant = &it.tenant_id;
    let it = desk.governance.proposal(tenant, id).await.unwrap().unwrap();
    assert_eq!(it.executions[0].status, ExecutionStatus::Unknown);
    assert!(
        it.executions[0]
            .error
            .as_deref()
            .unwrap()
            .contains("before anything is done again")
    );
    assert_eq!(code(desk.execute(&who, id).await), ReasonCode::AlreadyExecuted);
    let records = "SELECT count(*) FROM brain_event_log WHERE action = 'capability.outcome' AND metadata ->> 'status' = 'unknown'";
    assert_eq!(desk.count(records).await, 1);
}

#[tokio::test]
async fn it_is_undone_once() {
    let desk = Desk::new().await;
    let (who, boss) = (person("builder"), person("boss"));
    let id = desk.approved(&who).await;
    let refused = desk.governance.roll_back(&boss, id, WHY).await.unwrap_err();
    assert_eq!(refused.to_string(), "the proposal was not executed");
    desk.execute(&who, id).await.unwrap();
    let all = join_all((0..10).map(|_| desk.governance.roll_back(&boss, id, WHY))).await;
    assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 1);
    assert_eq!(desk.sent.all().len(), 2);

    let read = desk.propose(&who, "mail.read", json!({})).await;
    desk.execute(&who, read.proposal_id).await.unwrap();
    let refused = desk
        .governance
        .roll_back(&boss, read.proposal_id, WHY)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, Error::Conflict(text) if text.contains("rollback_url")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_quota_is_exact_for_fifty_at_once() {
    let desk = Desk::new().await;
    let who = person("builder");
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(desk.propose(&who, "mail.read", json!({})).await.proposal_id);
    }
    let all = join_all(ids.iter().map(|id| desk.execute(&who, *id))).await;
    assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 7);
    for one in all.into_iter().filter(Result::is_err) {
        match one {
            Err(Error::Refused(refusal)) => {
                assert_eq!(refusal.code, ReasonCode::RateLimited);
                assert!(
                    refusal
                        .retry_after_seconds
                        .is_some_and(|seconds| (1..=3600).contains(&seconds))
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(desk.sent.all().len(), 7);
    // Somebody else has a quota of their own.
    let other = person("painter");
    let id = desk.propose(&other, "mail.read", json!({})).await.proposal_id;
    desk.execute(&other, id).await.unwrap();
    // And the quota can be given anew.
    let quotas = desk.governance.quotas(&who.tenant_id, None, 10).await.unwrap();
    let used = quotas.iter().find(|quota| quota.actor_id == "builder").unwrap();
    assert_eq!((used.used, used.limit), (7, 7));
    let reset = desk
        .governance
        .reset_quota(&person("boss"), &used.bucket, WHY)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(reset.used, 0);
    let id = desk.propose(&who, "mail.read", json!({})).await.proposal_id;
    desk.execute(&who, id).await.unwrap();
}

#[tokio::test]
async fn the_rate_of_a_minute_is_recorded_once() {
    let desk = Desk::under(&POLICY.replace("proposals_per_minute = 10000", "proposals_per_minute = 3")).await;
    let who = person("builder");
    let all = join_all((0..20).map(|_| desk.governance.propose(&who, super::desk::new("mail.read", json!({}))))).await;
    // A minute may end in between.
    let made = all.iter().filter(|one| one.is_ok()).count();
    assert!((3..=6).contains(&made), "{made}");
    let records = "SELECT count(*) FROM brain_event_log WHERE action = 'capability.rate_limited'";
    assert!((1..=2).contains(&desk.count(records).await));
    let other = person("painter");
    desk.governance
        .propose(&other, super::desk::new("mail.read", json!({})))
        .await
        .unwrap();

    // Dry runs leave a record each, so they have a rate too.
    let dry = Desk::under(&POLICY.replace("executions_per_minute = 10000", "executions_per_minute = 2")).await;
    let id = dry.propose(&other, "mail.read", json!({})).await.proposal_id;
    let given = Execute::default();
    let all = join_all((0..10).map(|_| dry.governance.dry_run(&other, id, &given))).await;
    let made = all.iter().filter(|one| one.is_ok()).count();
    assert!((2..=4).contains(&made), "{made}");
}

#[tokio::test]
async fn what_was_rejected_stays_so_until_it_is_reopened() {
    let desk = Desk::new().await;
    let (who, boss) = (person("builder"), person("boss"));
    let id = desk.approved(&who).await;
    desk.governance.resolve(&boss, id, Decision::Reject, WHY).await.unwrap();
    assert_eq!(code(desk.execute(&who, id).await), ReasonCode::ProposalRejected);
    let again = desk.approve(id).await.unwrap_err();
    assert_eq!(again.to_string(), "the proposal is rejected");
    desk.governance.resolve(&boss, id, Decision::Reopen, WHY).await.unwrap();
    assert_eq!(code(desk.execute(&who, id).await), ReasonCode::ApprovalRequired);
    desk.approve(id).await.unwrap();
    desk.execute(&who, id).await.unwrap();
    let reopened = desk
        .governance
        .resolve(&boss, id, Decision::Reopen, WHY)
        .await
        .unwrap_err();
    assert_eq!(reopened.to_string(), "the proposal is executed");
    let brief = desk.governance.resolve(&boss, id, Decision::Reject, "no").await;
    assert_eq!(code(brief), ReasonCode::RationaleRequired);
}

#[tokio::test]
async fn the_doctor_knows_an_execution_that_nobody_allowed() {
    let desk = Desk::new().await;
    let who = person("builder");
    let id = desk.approved(&who).await;
    desk.execute(&who, id).await.unwrap();
    let free = desk.propose(&who, "mail.read", json!({})).await.proposal_id;
    desk.execute(&who, free).await.unwrap();
    let found = async || {
        let deadline = std::time::Duration::from_secs(60);
        let findings = brain_swarm::doctor::check(&desk.world.postgres, None, &desk.world.config.bus, deadline).await;
        let of_executions = findings
            .unwrap()
            .into_iter()
            .find(|one| one.title.contains("executed proposal"));
        of_executions.unwrap().samples
    };
    assert_eq!(found().await, Vec::<String>::new());
    // Somebody writes into the database what no person approved.
    desk.sql("UPDATE brain_capability_executions SET authority = 'approval' WHERE authority = 'policy'")
        .await;
    desk.sql("UPDATE brain_capability_proposals SET envelope_digest = repeat('0', 64) WHERE status = 'executed'")
        .await;
    let samples = found().await;
    assert_eq!(samples.len(), 2, "{samples:?}");
    assert!(
        samples.iter().all(|one| one.contains("no record of an approval")),
        "{samples:?}"
    );
    desk.sql("DELETE FROM brain_capability_executions").await;
    let samples = found().await;
    assert!(
        samples.iter().all(|one| one.contains("without an execution")) && samples.len() == 2,
        "{samples:?}"
    );
}

//! Which call gets which worker, how many there are, and what becomes of them.

use std::{sync::Arc, time::Duration};

use brain_skills::{
    calls::{AtWork, Backoff, Call, Error, Terms},
    digest::Digest,
    launch::Ended,
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Fixture, PATIENCE, alive, eventually, gone};

/// Answers with its process id; says so in a file first, and works for as many seconds as it is told.
const WORK: &str = "open('pids', 'a').write(f'{os.getpid()}\\n')\ntime.sleep(p or 0)\nanswer(r, os.getpid())";

impl Fixture {
    async fn value_as(&self, tenant: &str) -> Value {
        self.call_as(tenant, "do", PATIENCE, json!(0)).await.unwrap().value
    }

    /// A call in the background that works for long, and its cancellation.
    fn long(self: &Arc<Self>, payload: Value) -> (tokio::task::JoinHandle<Result<Value, Error>>, CancellationToken) {
        let (fixture, cancel) = (Arc::clone(self), CancellationToken::new());
        let token = cancel.clone();
        let task = tokio::spawn(async move {
            let call = Call {
                command: "do".into(),
                payload,
            };
            let (deadline, sink) = (Instant::now() + PATIENCE, fixture.sink());
            let terms = Terms::new(deadline, &token, &sink);
            let called = fixture.pool.call(&fixture.skill, "tenant", &call, &terms);
            match called.await {
                Ok(answer) => Ok(answer.value),
                Err(failure) => Err(match failure.error() {
                    Error::Revoked(digest) => Error::Revoked(*digest),
                    Error::Cancelled => Error::Cancelled,
                    Error::Closed => Error::Closed,
                    other => panic!("{other}"),
                }),
            }
        });
        (task, cancel)
    }
}

#[tokio::test]
async fn no_worker_serves_two_tenants_or_two_environments() {
    let mut fixture = Fixture::executing("answer(r, os.getpid())");
    let mut pids = Vec::new();
    for tenant in ["a", "b", "a", "b"] {
        pids.push(fixture.value_as(tenant).await);
    }
    assert!(
        pids[0] == pids[2] && pids[1] == pids[3] && pids[0] != pids[1],
        "{pids:?}"
    );
    fixture
        .skill
        .program
        .environment
        .insert("TOKEN".into(), "granted".into());
    assert_ne!(fixture.value_as("a").await, pids[0]);
    fixture.skill.program.digest = Digest::of(b"another tree");
    fixture.skill.program.environment.clear();
    assert_ne!(fixture.value_as("a").await, pids[0]);
    assert_eq!(fixture.pool.idle(), 4);
}

#[tokio::test]
async fn a_worker_goes_after_its_calls_its_time_or_its_memory() {
    let fixture = Fixture::executing("answer(r, os.getpid())").settings(|settings| settings.max_calls = 2);
    let (first, second) = (fixture.value_as("a").await, fixture.value_as("a").await);
    assert_eq!(first, second);
    assert_eq!(fixture.pool.idle(), 0);
    assert_ne!(fixture.value_as("a").await, first);

    let fixture = Fixture::executing("answer(r, os.getpid())").settings(|settings| {
        settings.max_age = Duration::from_millis(600);
    });
    fixture.value_as("a").await;
    // Nobody has to call for that.
    eventually(async || (fixture.pool.running() == 0).then_some(())).await;
    assert_eq!(fixture.pool.idle(), 0);

    let fixture = Fixture::executing("kept = 'x' * (p << 20)\nanswer(r, os.getpid())").settings(|settings| {
        settings.max_memory_bytes = 100 << 20;
    });
    fixture.call(json!(1)).await.unwrap();
    assert_eq!(fixture.pool.idle(), 1);
    fixture.call(json!(150)).await.unwrap();
    assert_eq!(fixture.pool.idle(), 0, "what it holds is given back");
}

#[tokio::test]
async fn an_idle_worker_that_dies_is_forgotten() {
    let fixture = Fixture::executing(WORK);
    let first = fixture.value(json!(0)).await;
    let pid = fixture.pids(1).await[0];
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually(async || (fixture.pool.idle() == 0).then_some(())).await;
    let again = fixture.call(json!(0)).await.unwrap();
    assert!(!again.warm && again.value != first);
}

#[tokio::test]
async fn idle_workers_are_bounded_and_make_room() {
    let fixture = Arc::new(Fixture::executing(WORK).settings(|settings| {
        settings.idle_per_key = 2;
        settings.idle = 3;
    }));
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        let fixture = Arc::clone(&fixture);
        calls.spawn(async move { fixture.call(json!(1)).await.unwrap().value });
    }
    let mut pids = calls.join_all().await;
    pids.sort_by_key(Value::as_u64);
    pids.dedup();
    assert_eq!(pids.len(), 5, "one call at a time for each");
    assert_eq!(fixture.pool.idle(), 2);
    for tenant in ["a", "b", "c"] {
        fixture.value_as(tenant).await;
    }
    assert_eq!(fixture.pool.idle(), 3);
    eventually(async || (fixture.pool.running() == 3).then_some(())).await;

    // Where all that may run are idle, another skill is not kept waiting.
    let fixture = Fixture::executing("answer(r, os.getpid())").settings(|settings| settings.processes = 1);
    for tenant in ["a", "b", "a"] {
        assert!(!fixture.call_as(tenant, "do", PATIENCE, json!(0)).await.unwrap().warm);
    }
    assert_eq!(fixture.pool.running(), 1);
}

#[tokio::test]
async fn no_more_run_than_may_and_who_waits_is_served_or_told() {
    let fixture = Arc::new(Fixture::executing(WORK).settings(|settings| settings.processes = 2));
    let mut calls = JoinSet::new();
    for number in 0..12 {
        let fixture = Arc::clone(&fixture);
        calls.spawn(async move {
            let tenant = ["a", "b", "c"][number % 3];
            let answer = fixture.call_as(tenant, "do", PATIENCE, json!(0.05)).await;
            assert!(fixture.pool.running() <= 2);
            answer.unwrap();
        });
    }
    calls.join_all().await;

    let (busy, cancel) = fixture.long(json!(999));
    let (also_busy, also_cancel) = fixture.long(json!(999));
    eventually(async || (fixture.pool.running() == 2 && fixture.pool.idle() == 0).then_some(())).await;
    let failure = fixture
        .call_within(Duration::from_millis(300), json!(0))
        .await
        .unwrap_err();
    assert!(matches!(failure.error(), Error::Exhausted { running: 2 }), "{failure}");
    cancel.cancel();
    also_cancel.cancel();
    assert!(matches!(busy.await.unwrap(), Err(Error::Cancelled)));
    assert!(matches!(also_busy.await.unwrap(), Err(Error::Cancelled)));
    assert!(fixture.call(json!(0)).await.is_ok());
}

#[tokio::test]
async fn who_heeds_a_cancellation_goes_on_and_who_does_not_is_killed() {
    let heeds = "open('pids', 'a').write(f'{os.getpid()}\\n')\n\
                 if p:\n    told = json.loads(sys.stdin.readline())\n    \
                     assert told == {'jsonrpc': '2.0', 'method': 'cancel', 'params': {'id': r['id']}}\n    refuse(r, 1, 'cancelled')\n\
                 else: answer(r, os.getpid())";
    let fixture = Arc::new(Fixture::executing(heeds));
    let (call, cancel) = fixture.long(json!(1));
    let pid = fixture.pids(1).await[0];
    cancel.cancel();
    assert!(matches!(call.await.unwrap(), Err(Error::Cancelled)));
    let next = fixture.call(json!(0)).await.unwrap();
    assert!(next.warm && next.value == pid.as_raw());

    let fixture = Arc::new(Fixture::executing(WORK).settings(|settings| {
        settings.cancel_grace = Duration::from_millis(200);
    }));
    let (call, cancel) = fixture.long(json!(999));
    let pid = fixture.pids(1).await[0];
    cancel.cancel();
    assert!(matches!(call.await.unwrap(), Err(Error::Cancelled)));
    gone(pid).await;
    assert_eq!((fixture.pool.idle(), fixture.pool.running()), (0, 0));
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_leaves_nothing() {
    let fixture = Arc::new(Fixture::executing(WORK));
    let (call, _cancel) = fixture.long(json!(999));
    let pid = fixture.pids(1).await[0];
    call.abort();
    gone(pid).await;
    eventually(async || (fixture.pool.running() == 0).then_some(())).await;
    assert_eq!(fixture.pool.idle(), 0);
}

#[tokio::test]
async fn a_skill_that_crashes_again_and_again_is_left_alone_for_a_while() {
    let crashing = "if p: answer(r, 'better')\nelse: os._exit(9)";
    let fixture = Fixture::executing(crashing).settings(|settings| {
        settings.backoff = Backoff {
            after: 2,
            first: Duration::from_millis(400),
            longest: Duration::from_secs(60),
        };
    });
    for _ in 0..2 {
        let failure = fixture.call(json!(0)).await.unwrap_err();
        assert!(matches!(failure.error(), Error::Ended(Ended::Exited(9))), "{failure}");
    }
    let failure = fixture.call(json!(1)).await.unwrap_err();
    let Error::BackingOff { failures: 2, remaining } = failure.error() else {
        panic!("{failure}");
    };
    assert!(*remaining <= Duration::from_millis(400));
    // Another tenant has nothing to do with it.
    assert!(fixture.call_as("other", "do", PATIENCE, json!(1)).await.is_ok());
    tokio::time::sleep(*remaining).await;
    assert_eq!(fixture.value(json!(1)).await, "better");
    assert!(fixture.call(json!(0)).await.is_err());
    assert_eq!(
        fixture.value(json!(1)).await,
        "better",
        "a success has made it forgotten"
    );
}

#[tokio::test]
async fn what_is_revoked_stops_at_once_warm_or_at_work() {
    let fixture = Arc::new(Fixture::executing(WORK));
    fixture.value_as("idle").await;
    let (finishing, _keep) = fixture.long(json!(1));
    let pids = fixture.pids(2).await;
    fixture.pool.revoke(Digest::of(b"something else"), AtWork::Kill);
    assert!(alive(pids[0]) && fixture.pool.idle() == 1);
    let digest = fixture.skill.program.digest;
    fixture.pool.revoke(digest, AtWork::Finish);
    assert_eq!(fixture.pool.idle(), 0);
    gone(pids[0]).await;
    assert_eq!(finishing.await.unwrap().unwrap(), pids[1].as_raw());
    gone(pids[1]).await;
    let failure = fixture.call(json!(0)).await.unwrap_err();
    assert!(
        matches!(failure.error(), Error::Revoked(revoked) if *revoked == digest),
        "{failure}"
    );
    assert_eq!(fixture.pool.running(), 0);

    let fixture = Arc::new(Fixture::executing(WORK));
    let (working, _keep) = fixture.long(json!(999));
    let pid = fixture.pids(1).await[0];
    fixture.pool.revoke(fixture.skill.program.digest, AtWork::Kill);
    assert!(matches!(working.await.unwrap(), Err(Error::Revoked(_))));
    gone(pid).await;
}

#[tokio::test]
async fn workers_of_one_tenant_can_be_retired() {
    let fixture = Arc::new(Fixture::executing(WORK));
    let (a, b) = (fixture.value_as("a").await, fixture.value_as("b").await);
    fixture.pool.retire(AtWork::Finish, |_, tenant| tenant == "a");
    assert_eq!(fixture.value_as("b").await, b);
    assert_ne!(fixture.value_as("a").await, a);
    // One that is at work may end its work, and is not kept.
    let idle = fixture.pool.idle();
    let (working, _keep) = fixture.long(json!(1));
    let pid = fixture.pids(5).await[4];
    fixture.pool.retire(AtWork::Finish, |_, tenant| tenant == "tenant");
    assert_eq!(working.await.unwrap().unwrap(), pid.as_raw());
    assert_eq!(fixture.pool.idle(), idle);
    gone(pid).await;
}

#[tokio::test]
async fn closing_lets_calls_end_and_leaves_no_process() {
    let fixture = Arc::new(Fixture::executing(WORK));
    fixture.value_as("idle").await;
    let (short, _keep) = fixture.long(json!(1));
    fixture.pids(2).await;
    assert!(fixture.pool.close(Instant::now() + PATIENCE).await);
    assert!(short.await.unwrap().is_ok());
    assert_eq!(fixture.pool.running(), 0);
    let failure = fixture.call(json!(0)).await.unwrap_err();
    assert!(matches!(failure.error(), Error::Closed), "{failure}");

    let fixture = Arc::new(Fixture::executing(WORK));
    let (long, _keep) = fixture.long(json!(999));
    let pid = fixture.pids(1).await[0];
    assert!(fixture.pool.close(Instant::now() + Duration::from_millis(100)).await);
    assert!(matches!(long.await.unwrap(), Err(Error::Closed)));
    gone(pid).await;
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_told_so() {
    let mut fixture = Fixture::executing("answer(r, 1)");
    fixture.skill.program.argv = vec!["no-such-interpreter".into()];
    let failure = fixture.call(json!(null)).await.unwrap_err();
    assert!(matches!(failure.error(), Error::Launch(_)), "{failure}");
    assert_eq!(fixture.pool.running(), 0);
}

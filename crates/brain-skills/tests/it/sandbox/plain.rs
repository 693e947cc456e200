//! The launcher that confines nothing: it says so, and still ends as one.

use brain_skills::sandbox::Plain;

use super::*;

#[tokio::test]
async fn nothing_is_said_to_be_enforced() {
    let fixture = Fixture::new();
    let mut program = fixture.program(&["sh", "-c", "echo $NAME; exit 4"]);
    program.environment.insert("NAME".into(), "value".into());
    let running = Plain.launch(&program).await.unwrap();
    assert_eq!(running.enforced.len(), Mechanism::ALL.len());
    let enforced = |one: &launch::Enforced| one.state == State::Enforced;
    assert!(!running.enforced.iter().any(enforced));
    let outcome = timeout(PATIENCE, Outcome::of(running)).await.unwrap();
    assert_eq!((outcome.ended, outcome.stdout.as_str()), (Ended::Exited(4), "value\n"));
}

#[tokio::test]
async fn killing_ends_the_group_and_limits_hold() {
    let mut fixture = Fixture::new();
    let script = "trap '' TERM; sleep 600 & echo ready; wait";
    let mut running = Plain.launch(&fixture.program(&["sh", "-c", script])).await.unwrap();
    let mut line = [0; 6];
    timeout(PATIENCE, running.stdout.read_exact(&mut line))
        .await
        .unwrap()
        .unwrap();
    running.tree.kill();
    assert_eq!(
        timeout(PATIENCE, Outcome::of(running)).await.unwrap().ended,
        Ended::Killed
    );

    fixture.limits.cpu = Duration::from_secs(1);
    let running = Plain
        .launch(&fixture.program(&["sh", "-c", "while :; do :; done"]))
        .await
        .unwrap();
    let ended = timeout(PATIENCE, Outcome::of(running)).await.unwrap().ended;
    assert_eq!(ended, Ended::Limit(Limit::Cpu));

    for name in ["../x", "no-such-interpreter", "/bin/sh"] {
        let refused = Plain.launch(&fixture.program(&[name])).await;
        assert!(matches!(refused, Err(launch::Error::Program(_))), "{refused:?}");
    }
}

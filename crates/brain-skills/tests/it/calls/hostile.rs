//! Skills that break the protocol, hang, flood, and refuse to die.

use std::time::Duration;

use brain_skills::{
    calls::{Error, Event, Violation},
    launch::Ended,
};
use serde_json::json;
use tokio::time::Instant;

use super::{Fixture, PATIENCE, gone};

/// Long enough for a program to start and misbehave.
const SHORT: Duration = Duration::from_secs(3);

/// The violation that a skill is killed for when it does this with a request.
async fn violation(body: &str) -> Violation {
    let fixture = Fixture::executing(&format!("open('pids', 'w').write(f'{{os.getpid()}}\\n')\n{body}"));
    let failure = fixture.call(json!(null)).await.unwrap_err();
    let Error::Protocol(violation) = failure.error() else {
        panic!("{body}: {failure}\n{}", failure.stderr());
    };
    gone(fixture.pids(1).await[0]).await;
    assert_eq!(
        (fixture.pool.idle(), fixture.pool.running()),
        (0, 0),
        "it is never asked again"
    );
    violation.clone()
}

/// The error of a call with a short deadline, and that it came at the deadline.
async fn at_deadline(body: &str, payload: serde_json::Value) {
    let fixture = Fixture::executing(&format!("open('pids', 'w').write(f'{{os.getpid()}}\\n')\n{body}"));
    let begun = Instant::now();
    let failure = fixture.call_within(SHORT, payload).await.unwrap_err();
    assert!(matches!(failure.error(), Error::Deadline), "{body}: {failure}");
    assert!(failure.stderr().len() <= 256 << 10);
    assert!(begun.elapsed() >= SHORT);
    gone(fixture.pids(1).await[0]).await;
    assert_eq!((fixture.pool.idle(), fixture.pool.running()), (0, 0));
}

#[tokio::test]
async fn floods_of_output_end_the_skill() {
    let limit = 1 << 20;
    let flood = "while True: sys.stdout.write('x' * 65536)";
    assert_eq!(violation(flood).await, Violation::FrameTooLarge(limit));
    let huge = "answer(r, 'x' * (1 << 20))";
    assert_eq!(violation(huge).await, Violation::FrameTooLarge(limit));
    let lines = "while True: sys.stdout.write('\\n' * 65536)";
    assert_eq!(violation(lines).await, Violation::Flood);
    let notices = "while True: sys.stdout.write('{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":{\"message\":\"x\"}}\\n' * 100)";
    assert_eq!(violation(notices).await, Violation::Flood);
    let bytes = "while True: notice('log', message='x' * 1000000)";
    assert_eq!(violation(bytes).await, Violation::Flood);
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_to_the_share() {
    let fixture = Fixture::executing("for _ in range(5000): notice('log', message='x')\nanswer(r, 1)");
    assert_eq!(fixture.value(json!(null)).await, 1);
    let events = fixture.events();
    let Some(Event::Dropped(dropped)) = events.last() else {
        panic!("what was dropped is told");
    };
    assert_eq!(events.len() as u64 - 1 + dropped, 5000);
    assert!(events.len() <= 2001);
}

#[tokio::test]
async fn a_flood_of_stderr_neither_blocks_nor_fills() {
    let fixture = Fixture::executing(
        "for _ in range(64): sys.stderr.write('x' * 65536)\nsys.stderr.write('the end \\x1b[5m')\nsys.stderr.flush()\n\
         answer(r, 1) if p else os._exit(3)",
    );
    assert_eq!(fixture.value(json!(1)).await, 1);
    let failure = fixture.call(json!(0)).await.unwrap_err();
    assert!(matches!(failure.error(), Error::Ended(Ended::Exited(3))), "{failure}");
    assert!(failure.stderr().ends_with("the end \\u{1b}[5m"));
    assert!(failure.stderr().len() <= (64 << 10) + 10);
    at_deadline("while True: sys.stderr.write('x' * 65536)", json!(null)).await;
}

#[tokio::test]
async fn what_never_becomes_a_frame_ends_at_the_deadline() {
    let slow = "for byte in json.dumps({'jsonrpc': '2.0', 'id': r['id'], 'result': 'x' * 999}):\n    \
                sys.stdout.write(byte); sys.stdout.flush(); time.sleep(0.1)";
    tokio::join!(
        at_deadline(
            "sys.stdout.write('{' + ' ' * 1000); sys.stdout.flush(); time.sleep(999)",
            json!(null)
        ),
        at_deadline(slow, json!(null)),
        at_deadline("time.sleep(999)", json!(null)),
        at_deadline("while True: pass", json!(null)),
        at_deadline("os.kill(os.getpid(), signal.SIGSTOP)", json!(null)),
    );
}

#[tokio::test]
async fn frames_that_are_no_messages_end_the_skill() {
    let raw = |text: &str| format!("os.write(1, {text})\ntime.sleep(999)");
    assert_eq!(violation(&raw(r#"b'"\xff\xfe"\n'"#)).await, Violation::NotUtf8);
    assert_eq!(violation(&raw(r"b'[' * 100000 + b'\n'")).await, Violation::TooDeep(64));
    assert!(matches!(
        violation(&raw(r"b'hello world\n'")).await,
        Violation::NotJson(_)
    ));
    assert!(matches!(violation(&raw(r"b'\x1b[2J\n'")).await, Violation::NotJson(_)));
    assert!(matches!(violation(&raw(r"b'[]\n'")).await, Violation::NotMessage(_)));
    assert!(matches!(
        violation(&raw(r#"b'{"jsonrpc":"2.0"}\n'"#)).await,
        Violation::NotMessage(_)
    ));
    assert_eq!(
        violation("os.write(1, b'{\"jsonrpc\":'); os._exit(0)").await,
        Violation::Truncated
    );
    let both = "send({'jsonrpc': '2.0', 'id': r['id'], 'result': 1, 'error': {'code': 1, 'message': 'x'}})";
    assert_eq!(violation(both).await, Violation::ResultAndError);
}

#[tokio::test]
async fn answers_to_other_requests_end_the_skill() {
    let unknown = |id: &str| Violation::UnknownId(id.into());
    assert_eq!(violation("answer({'id': 99}, 1)").await, unknown("99"));
    assert_eq!(violation("answer({'id': 0}, 1)").await, unknown("0"));
    assert_eq!(violation("answer({'id': str(r['id'])}, 1)").await, unknown("\"2\""));
    assert_eq!(violation("answer({'id': None}, 1)").await, unknown("null"));
    assert_eq!(violation("answer({'id': r['id'] - 1}, 1)").await, Violation::LateId(1));
}

#[tokio::test]
async fn an_answer_that_comes_twice_is_not_the_answer_to_the_next_call() {
    let fixture = Fixture::executing("answer(r, p)\nanswer(r, 'again')\nopen('done', 'w').close()");
    assert_eq!(fixture.value(json!(1)).await, 1);
    let done = fixture.folder.path().join("done");
    super::eventually(async || done.exists().then_some(())).await;
    let second = fixture.call(json!(2)).await.unwrap();
    assert_eq!((second.value, second.warm), (json!(2), false));
    // It may guess the id of the next request, too.
    let fixture = Fixture::executing("answer(r, p)\nanswer({'id': r['id'] + 1}, 'guessed')\nopen('done', 'w').close()");
    assert_eq!(fixture.value(json!(1)).await, 1);
    let done = fixture.folder.path().join("done");
    super::eventually(async || done.exists().then_some(())).await;
    assert_eq!(fixture.value(json!(2)).await, 2);
}

#[tokio::test]
async fn whoever_never_reads_blocks_nobody() {
    let script = "answer(json.loads(sys.stdin.readline()), 1)\nopen('pids', 'w').write(f'{os.getpid()}\\n')\n";
    let payload = || json!("x".repeat(1_000_000));
    let fixture = Fixture::program(&format!("{script}time.sleep(999)"));
    let failure = fixture.call_within(SHORT, payload()).await.unwrap_err();
    assert!(matches!(failure.error(), Error::Deadline), "{failure}");
    gone(fixture.pids(1).await[0]).await;
    // An answer without having read the question is none.
    let fixture = Fixture::program(&format!(
        "{script}time.sleep(0.5)\nanswer({{'id': 2}}, 1)\ntime.sleep(999)"
    ));
    let failure = fixture.call(payload()).await.unwrap_err();
    assert!(
        matches!(failure.error(), Error::Protocol(Violation::Early)),
        "{failure}"
    );
    // Closing the input is no way out, either.
    let fixture = Fixture::program(&format!("{script}os.close(0)\ntime.sleep(999)"));
    let failure = fixture.call_within(SHORT, payload()).await.unwrap_err();
    assert!(matches!(failure.error(), Error::Deadline), "{failure}");
    // Asking without ever reading an answer is bounded.
    let asks = format!("{script}while True: send({{'jsonrpc': '2.0', 'id': 'x' * 200, 'method': 'ping'}})");
    let failure = Fixture::program(&asks).call(payload()).await.unwrap_err();
    let expected = matches!(failure.error(), Error::Protocol(Violation::Deaf));
    assert!(expected, "{failure}");
}

#[tokio::test]
async fn how_a_skill_ends_is_told() {
    let ended = async |body: &str| {
        let fixture = Fixture::executing(body);
        let failure = fixture.call(json!(null)).await.unwrap_err();
        match failure.error() {
            Error::Ended(ended) => *ended,
            other => panic!("{body}: {other}"),
        }
    };
    assert_eq!(ended("sys.exit(0)").await, Ended::Exited(0));
    assert_eq!(ended("raise Exception()").await, Ended::Exited(1));
    assert_eq!(
        ended("os.kill(os.getpid(), signal.SIGSEGV)").await,
        Ended::Signalled(11)
    );
    assert_eq!(violation("os.close(1); time.sleep(999)").await, Violation::Closed);
    let fixture = Fixture::program("raise SystemExit('cannot \\x07start')");
    let failure = fixture.call(json!(null)).await.unwrap_err();
    assert!(matches!(failure.error(), Error::Ended(Ended::Exited(1))), "{failure}");
    assert_eq!(failure.stderr(), "cannot \\u{7}start\n");
    // An answer counts although nobody is left to have said it.
    let fixture = Fixture::executing("answer(r, 'last words'); os._exit(1)");
    assert_eq!(fixture.value(json!(null)).await, "last words");
    super::eventually(async || (fixture.pool.running() == 0).then_some(())).await;
    let again = fixture.call(json!(null)).await.unwrap();
    assert!(!again.warm);
}

#[tokio::test]
async fn a_child_that_keeps_the_output_open_keeps_nobody_waiting() {
    let fixture =
        Fixture::executing("if os.fork(): os._exit(0)\nopen('pids', 'w').write(f'{os.getpid()}\\n')\ntime.sleep(999)");
    let begun = Instant::now();
    let failure = fixture.call(json!(null)).await.unwrap_err();
    assert!(matches!(failure.error(), Error::Ended(Ended::Exited(0))), "{failure}");
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(fixture.pool.running(), 0);
}

#[tokio::test]
async fn the_whole_tree_dies_at_the_deadline_whatever_it_ignores() {
    let fixture = Fixture::executing(
        "for s in range(1, 32):\n    \
             if s not in (signal.SIGKILL, signal.SIGSTOP): signal.signal(s, signal.SIG_IGN)\n\
         child = subprocess.Popen(['/bin/sleep', '999'])\n\
         open('pids', 'w').write(f'{os.getpid()}\\n{child.pid}\\n')\n\
         while True: time.sleep(1)",
    );
    let failure = fixture.call_within(SHORT, json!(null)).await.unwrap_err();
    assert!(matches!(failure.error(), Error::Deadline), "{failure}");
    for pid in fixture.pids(2).await {
        gone(pid).await;
    }
    assert_eq!(fixture.pool.running(), 0);
}

//! Calls of skills that do what they should, and of skills that do everything else.
//!
//! The programs are real ones, started without a sandbox: what is tried here must hold by the bounds of calls alone.

mod hostile;
mod mcp;
mod mcp_package;
mod plain;
mod workers;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use brain_skills::{
    calls::{Answer, Call, Event, Failure, Pool, Protocol, Settings, Sink, Skill, Terms},
    digest::Digest,
    launch::{Limits, Program},
};
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::plain::Plain;

/// Far more than anything takes that is not meant to take long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every program of these tests begins with.
const PRELUDE: &str = r#"
import json, os, signal, subprocess, sys, time
def send(value):
    sys.stdout.write(json.dumps(value) + "\n"); sys.stdout.flush()
def notice(method, **params):
    send({"jsonrpc": "2.0", "method": method, "params": params})
def answer(request, result):
    send({"jsonrpc": "2.0", "id": request["id"], "result": result})
def refuse(request, code, message):
    send({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}})
def messages():
    while line := sys.stdin.readline():
        yield json.loads(line)
def executes():
    for message in messages():
        if message["method"] == "healthcheck": answer(message, {"ok": True})
        if message["method"] == "execute": yield message
"#;

/// A directory with one program, and a pool to call it through.
struct Fixture {
    folder: TempDir,
    skill: Skill,
    pool: Pool,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Fixture {
    /// A skill that does this for each request `r` of `executes()`, where `p` is its payload.
    fn executing(body: &str) -> Self {
        let body = body.trim_matches('\n').replace('\n', "\n    ");
        Self::program(&format!(
            "for r in executes():\n    p = r['params']['payload']\n    {body}\n"
        ))
    }

    /// A skill that is this after the prelude.
    fn program(script: &str) -> Self {
        Self::with(script, Protocol::JsonRpc, Settings::default())
    }

    fn with(script: &str, protocol: Protocol, settings: Settings) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("skill.py"), format!("{PRELUDE}\n{script}")).unwrap();
        let skill = Skill {
            program: Program {
                digest: Digest::of(script.as_bytes()),
                code: folder.path().to_owned(),
                argv: vec!["python3".into(), "skill.py".into()],
                environment: BTreeMap::new(),
                limits: Limits::default(),
                egress: Arc::default(),
                mounts: vec![],
            },
            protocol,
        };
        Self {
            folder,
            skill,
            pool: Pool::new(Arc::new(Plain), settings),
            events: Arc::default(),
        }
    }

    fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        self.pool = Pool::new(Arc::new(Plain), settings);
        self
    }

    fn sink(&self) -> Sink {
        let events = Arc::clone(&self.events);
        Arc::new(move |event| events.lock().unwrap().push(event))
    }

    fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    async fn call(&self, payload: Value) -> Result<Answer, Failure> {
        self.call_within(PATIENCE, payload).await
    }

    async fn call_within(&self, limit: Duration, payload: Value) -> Result<Answer, Failure> {
        self.call_as("tenant", "do", limit, payload).await
    }

    async fn call_as(&self, tenant: &str, command: &str, limit: Duration, payload: Value) -> Result<Answer, Failure> {
        let call = Call {
            command: command.into(),
            payload,
        };
        let cancel = CancellationToken::new();
        let deadline = Instant::now() + limit;
        let sink = self.sink();
        let terms = Terms::new(deadline, &cancel, &sink);
        let called = self.pool.call(&self.skill, tenant, &call, &terms);
        // Whatever a program does, the call ends.
        tokio::time::timeout(limit + PATIENCE, called)
            .await
            .expect("a call ends at its deadline")
    }

    /// The processes whose ids the program wrote to `pids`, when there are this many.
    async fn pids(&self, count: usize) -> Vec<Pid> {
        let file = self.folder.path().join("pids");
        eventually(async || {
            let pids = read_pids(&file);
            (pids.len() == count).then_some(pids)
        })
        .await
    }

    async fn value(&self, payload: Value) -> Value {
        self.call(payload).await.unwrap().value
    }
}

fn read_pids(file: &Path) -> Vec<Pid> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| Pid::from_raw(line.parse().unwrap())).collect()
}

async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "it never came to be");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a process is gone; a zombie that its parent has not looked at yet is.
async fn gone(pid: Pid) {
    eventually(async || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let zombie = state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'));
        (kill(pid, None) == Err(Errno::ESRCH) || zombie).then_some(())
    })
    .await;
}

fn alive(pid: Pid) -> bool {
    kill(pid, None).is_ok()
}

#[tokio::test]
async fn a_skill_gets_its_command_and_payload_and_nothing_else() {
    let fixture = Fixture::executing("answer(r, [r['params'], sorted(os.environ), os.getpid()])");
    let payload = json!({"text": "Grüße\n\u{1F388}", "n": [1, 2.5, null]});
    let first = fixture.call(payload.clone()).await.unwrap();
    let params = &first.value[0];
    assert_eq!((&params["command"], &params["payload"]), (&json!("do"), &payload));
    let left = params["deadlineMs"].as_u64().unwrap();
    assert!((1..=30_000).contains(&left), "{left}");
    assert_eq!(params.as_object().unwrap().len(), 3);
    assert!(!first.warm);
    let second = fixture.call(payload).await.unwrap();
    assert!(
        second.warm && first.value[2] == second.value[2],
        "the same process serves again"
    );
    assert_eq!((fixture.pool.idle(), fixture.pool.running()), (1, 1));
}

#[tokio::test]
async fn progress_and_log_lines_come_through_escaped() {
    let fixture = Fixture::executing(
        "notice('progress', fraction=0.25, message='reading')\n\
         notice('log', level='warn', message='\\x1b[2J\\x1b]0;owned\\x07 a\\nforged')\n\
         notice('something-new', x=1)\n\
         answer(r, 1)",
    );
    assert_eq!(fixture.value(json!(null)).await, 1);
    let expected = [
        Event::Progress {
            fraction: Some(0.25),
            message: Some("reading".into()),
        },
        Event::Log {
            level: brain_skills::calls::Level::Warn,
            message: "\\u{1b}[2J\\u{1b}]0;owned\\u{7} a\\nforged".into(),
        },
    ];
    assert_eq!(fixture.events(), expected);
}

#[tokio::test]
async fn a_refusal_is_the_skills_own_and_costs_no_worker() {
    let fixture = Fixture::executing("refuse(r, 7, 'no \\x1b[31msuch file') if p else answer(r, 'fine')");
    let failure = fixture.call(json!(1)).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "the skill refused: no \\u{1b}[31msuch file (code 7)"
    );
    assert!(fixture.call(json!(0)).await.unwrap().warm);
}

#[tokio::test]
async fn a_skill_without_a_healthcheck_serves_and_an_ill_one_does_not() {
    let script =
        "for m in messages():\n    refuse(m, -32601, 'what?') if m['method'] == 'healthcheck' else answer(m, 2)\n";
    assert_eq!(Fixture::program(script).value(json!(null)).await, 2);
    let script = "for m in messages(): refuse(m, 1, 'no database')\n";
    let failure = Fixture::program(script).call(json!(null)).await.unwrap_err();
    assert_eq!(failure.to_string(), "the skill is not healthy: no database (code 1)");
}

#[tokio::test]
async fn large_payloads_and_answers_pass_up_to_the_limit() {
    let fixture = Fixture::executing("answer(r, p)");
    let text = "x".repeat((1 << 20) - 200);
    assert_eq!(fixture.value(json!(text)).await, text);
    let failure = fixture.call(json!("x".repeat(1 << 20))).await.unwrap_err();
    assert!(
        failure.to_string().starts_with("the payload needs 1048580 bytes"),
        "{failure}"
    );
}

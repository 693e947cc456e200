//! `dev-up --deps` and its companions. The Docker engine is left aside: these are about the native servers.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use brain_devstack::process::Signal;

use crate::clone::Clone;

const UP: &[&str] = &["dev-up", "--deps", "--native"];
const SERVICES: [&str; 3] = ["postgres", "redis", "s3"];

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn up_again_and_down_leave_the_stack_as_it_was_asked_for() {
    let clone = Clone::new();
    assert!(clone.succeed(&["dev-down"]).contains("nothing was running"));
    clone.succeed(UP);
    let first = SERVICES.map(|service| clone.running(service).unwrap());

    let again = clone.succeed(UP);
    assert_eq!(again.matches("is already running").count(), 3, "{again}");
    assert_eq!(SERVICES.map(|service| clone.running(service).unwrap()), first);
    let table = clone.succeed(&["infra-deps"]);
    for check in ["postgres", "redis", "artifact_store"] {
        assert!(table.contains(check), "{table}");
    }
    assert!(
        clone
            .succeed(&["dev-logs", "postgres"])
            .contains("ready to accept connections")
    );

    clone.succeed(&["dev-down"]);
    assert!(SERVICES.iter().all(|service| clone.running(service).is_none()));
    assert!(!first.iter().any(|identity| identity.is_alive()));
    assert!(!clone.run(&["infra-deps"]).ok);
}

#[test]
fn a_dead_service_is_started_again_and_the_others_are_left_alone() {
    let clone = Clone::new();
    clone.succeed(UP);
    for victim in SERVICES {
        let before = SERVICES.map(|service| clone.running(service).unwrap());
        clone.running(victim).unwrap().signal(Signal::SIGKILL);
        wait_until("the victim is dead", || clone.running(victim).is_none());
        clone.succeed(UP);
        for (service, before) in SERVICES.iter().zip(before) {
            assert_eq!(
                clone.running(service).unwrap() == before,
                *service != victim,
                "{service} after {victim}"
            );
        }
    }
    clone.succeed(&["infra-deps"]);
}

#[test]
fn a_taken_port_is_named_with_its_remedy_and_nothing_is_started() {
    let mut clone = Clone::new();
    let holder = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    clone.set("REDIS_PORT", &port);
    let said = clone.run(UP);
    assert!(!said.ok);
    for part in ["Valkey", "REDIS_PORT", port.as_str()] {
        assert!(said.text.contains(part), "{part} is missing in: {}", said.text);
    }
    assert!(SERVICES.iter().all(|service| clone.running(service).is_none()));
}

#[test]
fn a_start_that_fails_half_way_stops_what_it_started_and_only_that() {
    let clone = Clone::new();
    clone.succeed(UP);
    let postgres = clone.running("postgres").unwrap();
    for victim in ["redis", "s3"] {
        clone.running(victim).unwrap().signal(Signal::SIGKILL);
    }
    wait_until("both are dead", || {
        clone.running("redis").is_none() && clone.running("s3").is_none()
    });
    // A file where the S3 server keeps its objects: it comes last, when Valkey is up already.
    std::fs::remove_dir_all(clone.dev().join("s3")).unwrap();
    std::fs::write(clone.dev().join("s3"), "in the way").unwrap();
    let said = clone.run(UP);
    assert!(!said.ok, "{}", said.text);
    assert_eq!(clone.running("postgres"), Some(postgres), "what ran before stays");
    assert_eq!(clone.running("redis"), None, "what was started for nothing is stopped");
    assert_eq!(clone.running("s3"), None);
}

#[test]
fn an_interrupted_start_leaves_nothing_running() {
    for signal in ["INT", "TERM"] {
        let clone = Clone::new();
        let mut command = clone.command(UP);
        let mut child = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        wait_until("PostgreSQL is starting", || clone.running("postgres").is_some());
        let kill = std::process::Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let status = child.wait().unwrap();
        // The start may have been complete just before the signal came; then everything runs, as it should.
        if status.success() {
            assert!(SERVICES.iter().all(|service| clone.running(service).is_some()));
        } else {
            assert!(SERVICES.iter().all(|service| clone.running(service).is_none()));
        }
    }
}

#[test]
fn a_changed_port_moves_the_server_and_keeps_its_data() {
    let mut clone = Clone::new();
    clone.succeed(UP);
    let old = clone.setting("PGPORT").to_owned();
    let new = brain_devstack::free_port().unwrap().to_string();
    clone.set("PGPORT", &new);
    assert!(clone.succeed(UP).contains("its settings changed"));
    assert!(brain_devstack::ports::is_free(old.parse().unwrap()));
    assert!(clone.succeed(&["infra-deps"]).contains("postgres"));
}

#[test]
fn two_starts_at_once_start_everything_once() {
    let clone = Clone::new();
    let quiet = || std::process::Stdio::null();
    let mut starts: Vec<_> = (0..2)
        .map(|_| clone.command(UP).stdout(quiet()).stderr(quiet()).spawn().unwrap())
        .collect();
    assert!(starts.iter_mut().all(|start| start.wait().unwrap().success()));
    assert!(SERVICES.iter().all(|service| clone.running(service).is_some()));
    clone.succeed(&["infra-deps"]);
}

#[test]
fn a_reset_asks_first_and_then_removes_the_data() {
    let clone = Clone::new();
    clone.succeed(UP);
    let said = clone.run(&["dev-reset"]);
    assert!(!said.ok && said.text.contains("--yes"), "{}", said.text);
    assert!(clone.running("postgres").is_some());
    clone.succeed(&["dev-reset", "--yes"]);
    assert!(!clone.dev().exists());
    let left: Vec<_> = std::fs::read_dir(clone.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["xtask"]);
    clone.succeed(UP);
}

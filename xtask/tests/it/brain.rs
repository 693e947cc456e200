//! `dev-up` with `brain`. Building it is not what is tested here, so a script stands for cargo and names a program that
//! is there already.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use brain_devstack::process::Signal;

use crate::clone::Clone;

const UP: &[&str] = &["dev-up", "--native"];
const SERVICES: [&str; 4] = ["postgres", "redis", "s3", "brain"];

/// A clone whose `cargo build` yields `program`.
fn clone_with(program: &Path) -> Clone {
    let mut clone = Clone::new();
    let message = serde_json::json!({
        "reason": "compiler-artifact",
        "package_id": "path+file:///brain-bin#0.1.0",
        "manifest_path": "/brain-bin/Cargo.toml",
        "target": {
            "kind": ["bin"], "crate_types": ["bin"], "name": "brain", "src_path": "/brain-bin/src/main.rs",
            "edition": "2024", "doc": true, "doctest": false, "test": true
        },
        "profile": {
            "opt_level": "0", "debuginfo": 1, "debug_assertions": true, "overflow_checks": true, "test": false
        },
        "features": [], "filenames": [program], "executable": program, "fresh": true
    });
    let cargo = clone.path().join("cargo");
    script(&cargo, &format!("cat <<'END'\n{message}\nEND"));
    clone.set("CARGO", cargo.to_str().unwrap());
    let port = brain_devstack::free_port().unwrap();
    clone.set("STUDIO_BRAIN_PORT", &port.to_string());
    clone
}

fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn brain_comes_up_healthy_is_restarted_when_dead_and_goes_down() {
    let mut clone = clone_with(&brain_testkit::brain_bin());
    let said = clone.succeed(UP);
    for check in ["postgres", "redis", "event_bus", "artifact_store", "vector_store"] {
        let line = said.lines().find(|line| line.starts_with(check)).unwrap_or_default();
        assert_eq!(line.split_whitespace().nth(1), Some("ok"), "{said}");
    }
    assert!(
        said.contains(&format!(
            "http://127.0.0.1:{}/healthz",
            clone.setting("STUDIO_BRAIN_PORT")
        )),
        "{said}"
    );
    let first = SERVICES.map(|service| clone.running(service).unwrap());

    let again = clone.succeed(UP);
    assert_eq!(again.matches("is already running").count(), 4, "{again}");
    assert_eq!(SERVICES.map(|service| clone.running(service).unwrap()), first);

    clone.running("brain").unwrap().signal(Signal::SIGKILL);
    clone.succeed(UP);
    assert_ne!(clone.running("brain").unwrap(), first[3]);
    assert_eq!(clone.running("postgres").unwrap(), first[0]);

    clone.set("STUDIO_BRAIN_LOG_LEVEL", "debug");
    assert!(clone.succeed(UP).contains("brain is restarted"));
    assert!(clone.succeed(&["healthcheck"]).contains("event_bus"));
    assert!(clone.succeed(&["migrate", "status"]).contains("applied"));

    clone.succeed(&["dev-down"]);
    assert!(SERVICES.iter().all(|service| clone.running(service).is_none()));
}

#[test]
fn a_brain_that_ends_at_once_is_shown_with_its_last_words_and_nothing_is_left_running() {
    let words = Clone::new();
    let program = words.path().join("brain");
    script(
        &program,
        "[ \"$1\" = migrate ] && exit 0\necho 'the reason why' >&2\nexit 3",
    );
    let clone = clone_with(&program);
    let said = clone.run(UP);
    assert!(!said.ok && said.text.contains("the reason why"), "{}", said.text);
    assert!(SERVICES.iter().all(|service| clone.running(service).is_none()));
}

#[test]
fn a_port_that_brain_needs_is_missed_before_anything_is_built_or_started() {
    let mut clone = clone_with(Path::new("/nonexistent"));
    let holder = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    clone.set("STUDIO_BRAIN_PORT", &holder.local_addr().unwrap().port().to_string());
    let said = clone.run(UP);
    assert!(!said.ok && said.text.contains("STUDIO_BRAIN_PORT"), "{}", said.text);
    assert!(!said.text.contains("building"), "{}", said.text);
    assert!(SERVICES.iter().all(|service| clone.running(service).is_none()));
}

//! What each rule refuses, at which stage.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn skill() -> SkillRef {
    "mail-triage@1.4.0".parse().unwrap()
}

fn patterns(all: &[&str]) -> Vec<Pattern> {
    all.iter().map(|one| one.parse().unwrap()).collect()
}

fn manifest(permissions: serde_json::Value) -> Manifest {
    let text = serde_json::json!({"name": "mail-triage", "version": "1.4.0", "description": "x", "entrypoint": "run",
        "permissions": permissions});
    Manifest::check(text.to_string().as_bytes(), &skill()).unwrap()
}

fn open() -> Policy {
    Policy {
        require_checksum: false,
        require_signature: false,
        ..Policy::default()
    }
}

#[test]
fn deny_wins_over_allow() {
    let policy = Policy {
        allow: patterns(&["mail-triage@1.4.0"]),
        deny: patterns(&["mail-*@1.*"]),
        ..open()
    };
    let refused = policy.admits(&skill()).unwrap_err();
    assert_eq!(refused.stage, Stage::Policy);
    assert!(refused.reason.contains("mail-*@1.*"));
    assert!(
        policy
            .judge(&skill(), Some("me"), &manifest(serde_json::json!({})))
            .is_err()
    );
}

#[test]
fn an_allow_list_admits_what_is_on_it() {
    let with = |allow: &[&str]| Policy {
        allow: patterns(allow),
        ..open()
    };
    assert!(with(&[]).admits(&skill()).is_ok());
    assert!(with(&["other", "mail-*"]).admits(&skill()).is_ok());
    assert_eq!(with(&["other"]).admits(&skill()).unwrap_err().stage, Stage::Policy);
}

#[test]
fn who_published_it_matters_where_policy_says_so() {
    let plain = manifest(serde_json::json!({}));
    let signed = Policy::default();
    assert_eq!(
        signed.judge(&skill(), None, &plain).unwrap_err().stage,
        Stage::Signature
    );
    assert!(signed.judge(&skill(), Some("anybody"), &plain).is_ok());
    let few = Policy {
        publishers: patterns(&["studio", "team-*"]),
        ..open()
    };
    assert!(few.judge(&skill(), Some("team-mail"), &plain).is_ok());
    assert_eq!(
        few.judge(&skill(), Some("mallory"), &plain).unwrap_err().stage,
        Stage::Signature
    );
    assert_eq!(few.judge(&skill(), None, &plain).unwrap_err().stage, Stage::Signature);
    let counted = Policy {
        require_checksum: true,
        ..open()
    };
    assert_eq!(
        counted.judge(&skill(), None, &plain).unwrap_err().stage,
        Stage::Checksum
    );
}

#[test]
fn asking_for_more_is_refused_and_named() {
    let wanted = serde_json::json!({
        "allowedEgressHosts": ["api.example.org", "evil.example"], "commands": ["sort", "delete"],
        "environment": ["MAIL_TOKEN", "AWS_SECRET"], "limits": {"memoryBytes": 1_u64 << 40, "cpuSeconds": 601}
    });
    let policy = Policy {
        maximum: Maximum {
            egress_hosts: patterns(&["*.example.org"]),
            commands: patterns(&["sort"]),
            environment: patterns(&["MAIL_*"]),
            limits: Limits::default(),
        },
        ..open()
    };
    let refused = policy.judge(&skill(), None, &manifest(wanted)).unwrap_err();
    assert_eq!(refused.stage, Stage::Policy);
    for named in [
        "evil.example",
        "command delete",
        "AWS_SECRET",
        "memoryBytes",
        "cpuSeconds of 601",
    ] {
        assert!(refused.reason.contains(named), "{refused}");
    }
    for unnamed in ["api.example.org", "MAIL_TOKEN", "sort"] {
        assert!(!refused.reason.contains(unnamed), "{refused}");
    }
}

#[test]
fn what_is_granted_is_what_was_asked_for() {
    let wanted = serde_json::json!({"allowedEgressHosts": ["a.example:8443"], "limits": {"processes": 2}});
    let policy = Policy {
        maximum: Maximum {
            egress_hosts: patterns(&["a.example:8443"]),
            limits: Limits {
                memory_bytes: 64 << 20,
                ..Limits::default()
            },
            ..Maximum::default()
        },
        ..open()
    };
    let granted = policy.judge(&skill(), None, &manifest(wanted)).unwrap();
    assert_eq!(granted.egress_hosts, ["a.example:8443"]);
    assert_eq!((granted.limits.processes, granted.limits.memory_bytes), (2, 64 << 20));
    assert!(granted.commands.is_empty() && granted.environment.is_empty());
}

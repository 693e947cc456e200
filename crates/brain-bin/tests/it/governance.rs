//! Governance with the real program and a real service at the other end: from the proposal to the request that arrives.

mod decided;
mod receiver;
mod started;
mod stopped;
mod survived;

use brain_config::Config;
use serde_json::Value;

use self::receiver::{Receiver, SECRET};
use crate::brain_process::{BrainProcess, Ended};

const WHY: &str = "because it has to be done";

/// A capabilities file whose executors are at the receiver.
fn policy(receiver: &Receiver) -> String {
    let capability = |id: &str, path: &str, more: &str| {
        format!(
            "[[capability]]\nid = \"{id}\"\ntarget = \"desk\"\ndescription = \"Does {id}.\"\nrisk = \"high\"\nowner = \"o\"\n\
             rollback_plan = \"p\"\nescalation_path = \"e\"\nmax_calls_per_hour = 100000\n{more}\n\
             executor = {{ type = \"webhook\", url = \"{}\", time_limit_seconds = 1, rollback_url = \"{}\" }}\n",
            receiver.url(path),
            receiver.url("/undo"),
        )
    };
    let free = "requires_approval = false\nread_only = true";
    let schema = r#"input_schema = '{"type": "object", "required": ["to"]}'"#;
    [
        "[policy]\nproposals_per_minute = 100000\nexecutions_per_minute = 100000\n".to_owned(),
        capability("mail.send", "/do", schema),
        capability("mail.fail", "/fail", free),
        capability("mail.slow", "/hold", free),
        capability("mail.load", "/load", free),
        "[[intake]]\nid = \"secrets\"\npattern = \"password\"\nreason = \"It may give a secret away.\"\n".to_owned(),
    ]
    .join("\n")
}

/// Starts a brain whose capabilities are at the receiver.
async fn start(config: &Config, receiver: &Receiver) -> BrainProcess {
    let file = brain_testkit::scratch_dir().join("capabilities.toml");
    std::fs::write(&file, policy(receiver)).unwrap();
    let (file, notices) = (file.display().to_string(), receiver.url("/notices"));
    let settings = [
        ("STUDIO_BRAIN_CAPABILITIES_FILE", file.as_str()),
        ("STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET", SECRET),
        ("STUDIO_BRAIN_WEBHOOK_ALLOWED_ADDRESSES", "127.0.0.1/32"),
        ("STUDIO_BRAIN_APPROVAL_WEBHOOK_URL", &notices),
    ];
    BrainProcess::start(config, &settings).await
}

/// Proposes, and gives the id.
async fn propose(brain: &BrainProcess, capability: &str, input: &str) -> String {
    let words = ["proposal", "create", "--capability", capability, "--input", input];
    let made = brain
        .json(&[&words[..], &["--summary", "Do it.", "--rationale", WHY]].concat())
        .await;
    id(&made, "proposalId")
}

fn id(document: &Value, field: &str) -> String {
    document[field].as_str().unwrap().to_owned()
}

async fn with_reason(brain: &BrainProcess, words: &[&str]) -> Ended {
    brain.cli(&[words, &["--reason", WHY]].concat()).await
}

#[track_caller]
fn refused(ended: &Ended, code: &str) {
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains(&format!("{code}: ")), "{code}: {}", ended.stderr);
}

#[track_caller]
fn done(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

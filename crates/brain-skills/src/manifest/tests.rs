//! Manifests that are read, and those that are refused with the field and the remedy.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn minimal() -> Value {
    json!({"name": "a", "version": "1.0.0", "description": "Says hello.", "entrypoint": "run"})
}

fn with(field: &str, value: Value) -> Result<Manifest, Invalid> {
    let mut manifest = minimal();
    manifest[field] = value;
    Manifest::check(manifest.to_string().as_bytes(), &"a@1.0.0".parse().unwrap())
}

#[track_caller]
fn refused(result: Result<Manifest, Invalid>, field: &str, says: &str) {
    let error = result.unwrap_err();
    let found = error
        .problems
        .iter()
        .any(|problem| problem.field == field && problem.problem.contains(says));
    assert!(found, "{error}");
}

#[test]
fn a_full_manifest_is_read() {
    let digest = Digest::of(b"x").to_string();
    let full = json!({
        "name": "mail-triage", "version": "1.4.0-rc.1", "description": "Sorts mail — schön.",
        "entrypoint": ["python3", "-I", "main.py"], "protocol": "mcp", "checksum": digest, "signature": "AA==",
        "signatureAlgorithm": "ed25519", "signatureKeyId": "k1", "tools": digest,
        "files": {"main.py": digest},
        "permissions": {
            "allowedEgressHosts": ["mail.example.org", "a.b-c.example:8443"], "commands": ["sort", "mail/sort"],
            "environment": ["MAIL_TOKEN"],
            "limits": {"memoryBytes": 134217728, "processes": 4, "openFiles": 32, "scratchBytes": 0, "scratchFiles": 9, "cpuSeconds": 3}
        }
    });
    let read = Manifest::read(full.to_string().as_bytes()).unwrap();
    assert_eq!(read.reference().to_string(), "mail-triage@1.4.0-rc.1");
    assert_eq!(read.entrypoint().argv(), ["python3", "-I", "main.py"]);
    assert_eq!(read.protocol(), Protocol::Mcp);
    assert_eq!(
        (read.checksum(), read.tools()),
        (Some(Digest::of(b"x")), Some(Digest::of(b"x")))
    );
    assert_eq!(read.permissions().limits.cpu_seconds, Some(3));
    assert_eq!(read.files().unwrap().len(), 1);
    assert_eq!(read.old_signature().key_id.as_deref(), Some("k1"));
    let canonical: Value = serde_json::from_slice(read.canonical()).unwrap();
    assert!(canonical.get("signature").is_none() && canonical.get("checksum").is_none());
    assert_eq!(canonical["tools"], digest);
}

#[test]
fn a_file_of_the_skill_is_told_from_an_interpreter_by_its_slash() {
    for (given, argv) in [
        (json!("run"), vec!["./run"]),
        (json!("./bin/run"), vec!["./bin/run"]),
        (json!(["./run", "-v"]), vec!["./run", "-v"]),
        (json!(["bin/run"]), vec!["./bin/run"]),
        (json!(["sh", "run"]), vec!["sh", "run"]),
    ] {
        assert_eq!(with("entrypoint", given).unwrap().entrypoint().argv(), argv);
    }
    for wrong in [
        json!("/bin/sh"),
        json!("../run"),
        json!(["/bin/sh"]),
        json!([]),
        json!(["../x"]),
        json!(["SH"]),
        json!(["-x"]),
        json!(7),
        json!([7]),
    ] {
        refused(with("entrypoint", wrong), "entrypoint", "");
    }
}

#[test]
fn the_document_is_strict() {
    let read = |text: &str| Manifest::read(text.as_bytes());
    refused(read(r#"{"name":"a","name":"b"}"#), "", "twice");
    let twice = r#"{"name":"a","version":"1.0.0","description":"x","entrypoint":"run",
        "permissions":{"commands":["a"],"commands":["b"]}}"#;
    refused(read(twice), "", "twice");
    refused(read("[]"), "", "object");
    refused(read("{}"), "name", "missing");
    refused(read("{}"), "entrypoint", "missing");
    refused(Manifest::read(b"{\"name\":\"\xff\"}"), "", "UTF-8");
    refused(read(&format!("{{\"a\":\"{}\"}}", "x".repeat(5000))), "", "bytes");
    refused(read(&"[".repeat(100_000)), "", "bytes");
    refused(read(&"[".repeat(1000)), "", "nested");
    refused(with("postInstall", json!("curl")), "postInstall", "no such field");
    refused(
        with("permissions", json!({"limits": {"memory": 1}})),
        "permissions.limits.memory",
        "no such field",
    );
    refused(
        with("permissions", json!({"sudo": true})),
        "permissions.sudo",
        "no such field",
    );
}

#[test]
fn each_problem_names_its_field() {
    refused(with("name", json!("b")), "name", "b@1.0.0");
    refused(with("name", json!("A")), "name", "a-z");
    refused(with("version", json!("latest")), "version", "floating");
    refused(with("version", json!(1)), "version", "text");
    refused(with("description", json!("x".repeat(1025))), "description", "1025");
    for text in [
        "a\u{202e}b",
        "a\u{200b}b",
        "a\nb",
        "a\u{1b}[31m",
        "a\u{e0041}",
        "e\u{301}",
        " ",
    ] {
        refused(with("description", json!(text)), "description", "");
    }
    refused(with("protocol", json!("grpc")), "protocol", "mcp");
    refused(with("checksum", json!("md5:00")), "checksum", "sha256");
    refused(with("tools", json!(Digest::of(b"").to_string())), "tools", "mcp");
    refused(
        with("files", json!({"../x": Digest::of(b"").to_string()})),
        "files",
        "..",
    );
    refused(
        with("files", json!({"manifest.json": Digest::of(b"").to_string()})),
        "files",
        "itself",
    );
    refused(with("files", json!({"x": "00"})), "files", "digest");
    for host in [
        "*",
        "*.example.org",
        "Example.org",
        "https://a.example",
        "a.example/",
        "a..b",
        "a.example.",
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "[::1]",
        "a.example:0",
        "a.example:65536",
        "a.example:080",
        "a_b.example",
        "ex\u{e4}mple.org",
        "a\u{0}b.example",
    ] {
        refused(
            with("permissions", json!({"allowedEgressHosts": [host]})),
            "permissions.allowedEgressHosts",
            "",
        );
    }
    for name in ["PATH", "LD_PRELOAD", "https_proxy", "HTTPS_PROXY", "1A", "A-B", "HOME"] {
        refused(
            with("permissions", json!({"environment": [name]})),
            "permissions.environment",
            "",
        );
    }
    for command in ["", "rm -rf", "../x", "-x", "a;b"] {
        refused(
            with("permissions", json!({"commands": [command]})),
            "permissions.commands",
            "",
        );
    }
    refused(
        with("permissions", json!({"commands": ["a", "a"]})),
        "permissions.commands",
        "twice",
    );
    refused(
        with("permissions", json!({"limits": {"processes": 0}})),
        "permissions.limits.processes",
        "whole number",
    );
    refused(
        with("permissions", json!({"limits": {"processes": 4294967296_u64}})),
        "permissions.limits.processes",
        "",
    );
}

#[test]
fn the_checksum_counts_everything_but_itself_and_signatures() {
    let plain = with("checksum", json!(Digest::of(b"1").to_string())).unwrap();
    assert_eq!(plain.canonical(), with("signature", json!("x")).unwrap().canonical());
    assert_ne!(
        plain.canonical(),
        with("description", json!("other")).unwrap().canonical()
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Manifest::read(&bytes);
    }

    #[test]
    fn mutated_manifests_are_read_or_refused(at in any::<proptest::sample::Index>(), with in any::<char>(), field in "[a-zA-Z]{1,12}") {
        let text = minimal().to_string();
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        chars[at] = with;
        let mutated: String = chars.into_iter().collect();
        if let Ok(read) = Manifest::read(mutated.as_bytes()) {
            prop_assert!(!read.description().chars().any(fields::deceives));
        }
        let mut unknown = minimal();
        unknown[&field] = json!("x");
        let known = ["name", "version", "description", "entrypoint", "protocol", "checksum", "signature",
            "signatureAlgorithm", "signatureKeyId", "tools", "files", "permissions"];
        if !known.contains(&field.as_str()) {
            prop_assert!(Manifest::read(unknown.to_string().as_bytes()).is_err());
        }
    }
}

//! `brain audit` from the first key to a refused export, and a verifier in Python that agrees with it about every one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use brain_testkit::{eventually, scratch_dir};
use serde_json::Value;

use crate::brain_process::{BrainProcess, Ended, environment, migrated, run};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/verify_audit.py");

/// Commands that need no settings, no server and no database.
struct Offline {
    folder: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Offline {
    async fn brain(&self, words: &[&str]) -> Ended {
        run(&self.variables, words).await
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Makes a key; gives its file and its public half.
    async fn key(&self, name: &str) -> (String, String) {
        let file = self.path(name);
        let made = self.brain(&["audit", "key", "generate", &file]).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        let public = made.stdout.split_whitespace().last().unwrap().to_owned();
        assert_eq!(public.len(), 64, "{}", made.stdout);
        let shown = self.brain(&["audit", "key", "show", &file]).await;
        assert_eq!(shown.stdout, made.stdout);
        (file, public)
    }

    /// What both verifiers say of an export: nothing, or where it is wrong.
    async fn verdict(&self, export: &[u8], key: Option<&str>, what: &str) -> Option<String> {
        let file = self.path("tried.jsonl");
        std::fs::write(&file, export).unwrap();
        let mut words = vec!["audit", "verify", &file];
        words.extend(key.iter().flat_map(|key| ["--key", *key]));
        let ours = self.brain(&words).await;
        let script = tokio::process::Command::new("python3")
            .arg(SCRIPT)
            .arg(&file)
            .args(key)
            .stdin(Stdio::null())
            .output();
        let script = script.await.unwrap();
        let theirs = String::from_utf8(script.stderr).unwrap();
        assert_eq!(ours.code, script.status.code(), "{what}: {}{theirs}", ours.stdout);
        let (ours, theirs) = (place(&ours.stdout), place(&theirs));
        assert_eq!(ours, theirs, "{what}: the verifiers agree on the place");
        ours
    }
}

fn place(text: &str) -> Option<String> {
    let after = text.strip_prefix("NOT VERIFIED at ")?;
    after.split_once(':').map(|(place, _)| place.to_owned())
}

#[test]
fn the_script_has_less_than_sixty_lines() {
    let lines = std::fs::read_to_string(SCRIPT).unwrap().lines().count();
    assert!(lines < 60, "examples/verify_audit.py has {lines} lines");
}

fn joined(lines: &[&[u8]]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| line.iter().chain(b"\n"))
        .copied()
        .collect()
}

/// Every kind of damage, with where it must be found.
fn damaged(export: &[u8]) -> Vec<(String, Vec<u8>, Option<String>)> {
    let lines: Vec<&[u8]> = export
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines.len() - 1;
    let edited = |edit: &dyn Fn(&mut Vec<&[u8]>)| {
        let mut lines = lines.clone();
        edit(&mut lines);
        joined(&lines)
    };
    let mut cases = vec![
        (
            "a row removed".to_owned(),
            edited(&|lines| {
                lines.remove(3);
            }),
            Some("row 3".to_owned()),
        ),
        (
            "the last row removed".to_owned(),
            edited(&|lines| {
                lines.remove(last - 1);
            }),
            None,
        ),
        (
            "two rows swapped".to_owned(),
            edited(&|lines| lines.swap(3, 4)),
            Some("row 3".to_owned()),
        ),
        (
            "two rows far apart swapped".to_owned(),
            edited(&|lines| lines.swap(2, 5)),
            Some("row 2".to_owned()),
        ),
        (
            "a row twice".to_owned(),
            edited(&|lines| lines.insert(4, lines[3])),
            Some("row 4".to_owned()),
        ),
        (
            "the seal cut off".to_owned(),
            edited(&|lines| {
                lines.pop();
            }),
            Some("seal".to_owned()),
        ),
        (
            "the tail cut off".to_owned(),
            edited(&|lines| lines.truncate(4)),
            Some("row 4".to_owned()),
        ),
        (
            "everything but the manifest cut off".to_owned(),
            edited(&|lines| lines.truncate(1)),
            Some("row 1".to_owned()),
        ),
        ("nothing left".to_owned(), Vec::new(), Some("manifest".to_owned())),
        (
            "something behind".to_owned(),
            [export, b"{}\n"].concat(),
            Some("seal".to_owned()),
        ),
        (
            "cut within the seal".to_owned(),
            export[..export.len() - 9].to_vec(),
            Some("seal".to_owned()),
        ),
        (
            "no line break at the end".to_owned(),
            export[..export.len() - 1].to_vec(),
            Some("seal".to_owned()),
        ),
    ];
    for (from, to, expected) in [
        ("\"rowCount\":", "\"rowCount\":1", Some("manifest")),
        ("\"lastSeq\":", "\"lastSeq\":1", Some("manifest")),
        ("\"exportedAt\":\"2", "\"exportedAt\":\"3", Some("seal")),
        ("\"exportedAt\"", "\"exportedAu\"", Some("manifest")),
        ("\"tenantId\":\"d", "\"tenantId\":\"D", Some("manifest")),
        (
            "\"tenantId\":\"default\",\"type\":\"studio-brain-audit-export",
            "\"tenantId\":\"defaulu\",\"type\":\"studio-brain-audit-export",
            None,
        ),
        ("\"firstAt\":\"2", "\"firstAt\":\"3", Some("manifest")),
        ("\"firstSeq\":1", "\"firstSeq\":2", Some("manifest")),
        ("\"prevHash\":\"0", "\"prevHash\":\"1", Some("manifest")),
    ] {
        let manifest = String::from_utf8(lines[0].to_vec()).unwrap();
        assert!(manifest.contains(from), "{manifest}");
        let manifest = manifest.replacen(from, to, 1).into_bytes();
        let rest = joined(&lines[1..]);
        let bytes = [manifest.as_slice(), b"\n", &rest].concat();
        cases.push((format!("{from} edited"), bytes, expected.map(str::to_owned)));
    }
    let mut at = 7;
    while at < export.len() {
        let mut bytes = export.to_vec();
        bytes[at] ^= 1;
        let line = export[..at].iter().filter(|byte| **byte == b'\n').count();
        let expected = match line {
            0 => None,
            line if line == last => Some("seal".to_owned()),
            seq => Some(format!("row {seq}")),
        };
        cases.push((format!("byte {at} of line {line} changed"), bytes, expected));
        at += export.len() / 20;
    }
    cases
}

/// An export with the first byte behind a text changed.
fn flipped(export: &[u8], behind: &str) -> Vec<u8> {
    let found = export
        .windows(behind.len())
        .position(|bytes| bytes == behind.as_bytes());
    let mut bytes = export.to_vec();
    bytes[found.unwrap() + behind.len()] ^= 1;
    bytes
}

async fn refuses_all(offline: &Offline, export: &[u8], key: Option<&str>) {
    for (what, bytes, expected) in damaged(export) {
        let found = offline.verdict(&bytes, key, &what).await;
        assert!(found.is_some(), "{what} is refused");
        if expected.is_some() {
            assert_eq!(found, expected, "{what}");
        }
    }
}

async fn exported(variables: &BTreeMap<String, String>, words: &[&str], file: &Path) -> Vec<u8> {
    let shown = file.display().to_string();
    let mut all = vec!["audit", "export", &shown];
    all.extend(words);
    let ended = run(variables, &all).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    std::fs::read(file).unwrap()
}

#[tokio::test]
async fn an_export_proves_itself_to_two_verifiers() {
    let offline = Offline {
        folder: scratch_dir(),
        variables: BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]),
    };
    let (old, old_public) = offline.key("old.key").await;
    let (new, new_public) = offline.key("new.key").await;
    let database = migrated().await;
    let config = database.config();
    let overrides = |key| {
        [
            ("STUDIO_BRAIN_AUDIT_SIGNING_KEY_FILE", key),
            ("STUDIO_BRAIN_AUDIT_CHECKPOINT_INTERVAL_MS", "1000"),
        ]
    };
    let brain = BrainProcess::start(&config, &overrides(&old)).await;
    let variables = environment(&config, &[("BRAIN_SERVER", brain.url())]);
    let whole = offline.folder.join("whole.jsonl");
    for name in ["naïve", "b", "c"] {
        let words = [
            "token", "create", "--name", name, "--role", "viewer", "--output", "json",
        ];
        assert_eq!(run(&variables, &words).await.code, Some(0));
    }
    let listed = run(
        &variables,
        &["audit", "list", "--action", "token.", "--output", "jsonl"],
    )
    .await;
    assert_eq!(listed.stdout.lines().count(), 3, "{}", listed.stderr);
    let newest: Value = serde_json::from_str(listed.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(newest["metadata"]["name"], "c");
    let recorded = run(&variables, &["audit", "list", "--action", "migration.apply"]).await;
    assert!(recorded.stdout.contains("013_governance.sql"), "{}", recorded.stdout);

    let export = eventually("the end is signed", async || {
        let export = exported(&variables, &[], &whole).await;
        let manifest: Value = serde_json::from_slice(export.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
        let newest = manifest["checkpoints"].as_array().unwrap().last().cloned()?;
        (newest["seq"] == manifest["lastSeq"]).then_some(export)
    })
    .await;
    assert_eq!(offline.verdict(&export, None, "good").await, None);
    assert_eq!(offline.verdict(&export, Some(&old_public), "signed").await, None);
    let stranger = offline.verdict(&export, Some(&new_public), "signed by another").await;
    assert_eq!(stranger.as_deref(), Some("seal"));
    let file = whole.display().to_string();
    let unchecked = offline.brain(&["audit", "verify", &file]).await;
    assert!(
        unchecked.stdout.contains("not checked against a trusted key"),
        "{}",
        unchecked.stdout
    );
    refuses_all(&offline, &export, Some(&old_public)).await;
    let forged = flipped(&export, "\"signature\":\"");
    let found = offline.verdict(&forged, None, "a forged checkpoint").await;
    assert_eq!(found.as_deref(), Some("manifest"));

    // A part of it.
    let part = exported(
        &variables,
        &["--from-seq", "3", "--to-seq", "9"],
        &offline.folder.join("part.jsonl"),
    )
    .await;
    assert_eq!(offline.verdict(&part, Some(&old_public), "a part").await, None);

    // The new key follows the old one, and whoever trusts the old one needs no other.
    drop(brain);
    let rotated = run(&variables, &["audit", "key", "rotate", "--old", &old, "--new", &new]).await;
    assert_eq!(rotated.code, Some(0), "{}", rotated.stderr);
    let again = run(&variables, &["audit", "key", "rotate", "--old", &old, "--new", &new]).await;
    assert_eq!(again.code, Some(1), "{}", again.stdout);
    let brain = BrainProcess::start(&config, &overrides(&new)).await;
    let variables = environment(&config, &[("BRAIN_SERVER", brain.url())]);
    let export = exported(&variables, &[], &whole).await;
    assert_eq!(
        offline.verdict(&export, Some(&old_public), "by the new key").await,
        None
    );
    assert_eq!(
        offline
            .verdict(&export, Some(&new_public), "by the new key alone")
            .await,
        None
    );
    let forged = flipped(&export, "\"endorsedBy\":\"");
    let found = offline
        .verdict(&forged, Some(&old_public), "a forged endorsement")
        .await;
    assert_eq!(found.as_deref(), Some("manifest"));
    let doctor = run(&variables, &["doctor", "--invariants"]).await;
    assert_eq!(doctor.code, Some(0), "{}", doctor.stdout);
    assert!(
        doctor.stdout.contains("every audit chain verifies"),
        "{}",
        doctor.stdout
    );
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt as _;
    let offline = Offline {
        folder: scratch_dir(),
        variables: BTreeMap::new(),
    };
    let (file, _) = offline.key("key").await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let shown = offline.brain(&["audit", "key", "show", &file]).await;
    assert_eq!(shown.code, Some(1));
    assert!(shown.stderr.contains("chmod 600"), "{}", shown.stderr);
}

//! A revoked skill stops, wherever it is installed and warm; what is damaged does not start.

use std::time::Instant;

use brain_testkit::eventually;
use serde_json::Value;

use super::{Shop, call, done};
use crate::brain_process::migrated;

#[tokio::test]
async fn a_revoked_skill_stops_within_the_refresh_interval() {
    let shop = Shop::new().await;
    shop.publish("word-count").await;
    shop.publish("sandbox-report").await;
    let database = migrated().await;
    let brain = shop.serve(&database.config(), &[]).await;
    done(&brain.cli(&["skill", "install", "word-count@1.0.0"]).await);
    done(&brain.cli(&["skill", "install", "sandbox-report@1.0.0"]).await);
    call(&brain, "word-count@1.0.0", "count", r#"{"text": "a"}"#).await;
    assert_eq!(
        call(&brain, "word-count@1.0.0", "count", r#"{"text": "a"}"#).await["warm"],
        true
    );
    done(
        &shop
            .change(&["revoke", "word-count@1.0.0", "--reason", "it counts for somebody else"])
            .await,
    );
    let revoked = Instant::now();
    let refused = eventually("it is refused", async || {
        let called = brain
            .cli(&[
                "skill",
                "call",
                "word-count@1.0.0",
                "count",
                "--payload",
                r#"{"text": "a"}"#,
            ])
            .await;
        (called.code == Some(1)).then_some(called)
    })
    .await;
    assert!(refused.stderr.contains("revoked: "), "{}", refused.stderr);
    // Printed, not asserted: a loaded machine is late.
    eprintln!(
        "refused {:?} after it was revoked, where the registry is looked at each second",
        revoked.elapsed()
    );
    let verified = brain.cli(&["skill", "verify", "word-count@1.0.0"]).await;
    assert_eq!(verified.code, Some(1));
    let again = brain.cli(&["skill", "install", "word-count@1.0.0"]).await;
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("revoked: "), "{}", again.stderr);
    call(&brain, "sandbox-report@1.0.0", "report", "{}").await;
}

#[tokio::test]
async fn a_skill_whose_files_were_changed_does_not_start() {
    let shop = Shop::new().await;
    shop.publish("word-count").await;
    let database = migrated().await;
    let brain = shop
        .serve(&database.config(), &[("STUDIO_BRAIN_SKILL_WARM_WORKERS", "0")])
        .await;
    done(&brain.cli(&["skill", "install", "word-count@1.0.0"]).await);
    call(&brain, "word-count@1.0.0", "count", r#"{"text": "a"}"#).await;
    let installed = brain.json(&["skill", "show", "word-count@1.0.0"]).await;
    let tree = shop
        .folder
        .join("installed/objects")
        .join(installed["digest"].as_str().unwrap());
    let file = tree.join("main.py");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text.replace("len(words)", "1234567");
    std::fs::remove_file(&file)
        .or_else(|_| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&tree, std::fs::Permissions::from_mode(0o755))?;
            std::fs::remove_file(&file)
        })
        .unwrap();
    std::fs::write(&file, changed).unwrap();
    let called = brain
        .cli(&[
            "skill",
            "call",
            "word-count@1.0.0",
            "count",
            "--payload",
            r#"{"text": "a"}"#,
        ])
        .await;
    assert_eq!(called.code, Some(1), "{}", called.stdout);
    assert!(called.stderr.contains("main.py"), "{}", called.stderr);
    let verified = brain
        .cli(&["skill", "verify", "word-count@1.0.0", "--output", "json"])
        .await;
    let verified: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert!(verified["problem"].as_str().unwrap().contains("main.py"), "{verified}");
    // Installing it again makes it whole.
    done(&brain.cli(&["skill", "install", "word-count@1.0.0"]).await);
    call(&brain, "word-count@1.0.0", "count", r#"{"text": "a"}"#).await;
}

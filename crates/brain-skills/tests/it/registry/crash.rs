//! Whoever is killed while changing a registry leaves the old one or the new one.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use brain_skills::registry::{
    Clock, Source,
    author::{Author, Expiries, Outcome},
};

use super::{Reader, authoring::Registry, listed};

const CHILD: &str = "BRAIN_TEST_CRASHING_AUTHOR";

/// Not a test of its own: it publishes for ever until [`killed_authors_leave_a_whole_registry`] kills it.
#[test]
#[ignore = "it is started by another test"]
fn publishes_for_ever() {
    let folder = std::env::var(CHILD).unwrap();
    let folder = Path::new(&folder);
    let author = Author::new(&folder.join("registry"), Expiries::default(), Clock::default());
    let keys = ["acme", "snapshot", "timestamp"].map(|name| super::authoring::key(folder, name));
    let archive = folder.join("archive-of-child");
    for version in 0.. {
        let text = format!("acme-{}@{version}.0.0", std::process::id());
        std::fs::write(&archive, &text).unwrap();
        let (skill, tree) = (super::skill(&text), brain_skills::digest::Digest::of(text.as_bytes()));
        author.publish(&archive, &skill, &tree, "acme", &keys).unwrap();
    }
}

#[tokio::test]
async fn killed_authors_leave_a_whole_registry() {
    let made = Registry::new().with_publisher("acme", "acme-*");
    let root = std::fs::read_to_string(made.path().join("metadata/1.root.json")).unwrap();
    let reader = Reader::new(&root, &jiff::Timestamp::now().to_string());
    let mut had = 0;
    let timestamp = made.path().join("metadata/timestamp.json");
    for round in 0..20_u64 {
        let before = std::fs::read(&timestamp).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "registry::crash::publishes_for_ever", "--ignored"])
            .env(CHILD, made.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Once it changed something, any moment is as good as any other; each round takes another one.
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::fs::read(&timestamp).is_ok_and(|now| now == before) {
            assert!(
                Instant::now() < deadline && child.try_wait().unwrap().is_none(),
                "the author publishes"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(round * 5)).await;
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        let registry = reader.open(Source::Directory(made.path())).await;
        registry.refresh().await.unwrap();
        let skills = listed(&registry);
        assert!(skills.len() > had);
        had = skills.len();
        for skill in registry.list().unwrap() {
            registry.fetch(&registry.resolve(&skill).unwrap()).await.unwrap();
        }
    }
    // The next author goes on, and removes what the killed ones left.
    assert_eq!(made.publish("acme-last@1.0.0", "acme").unwrap(), Outcome::Published);
    assert!(!made.path().join(".metadata-next").exists());
}

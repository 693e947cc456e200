//! What goes wrong with a registry, each case made by python-tuf.

use std::io::Read as _;

use brain_skills::{digest::Digest, registry::Error};

use super::{Reader, listed, made, resolve, skill};

/// Reads these repositories one after the other with one state; the last must fail.
async fn refused(variants: &[&str]) -> Error {
    let reader = Reader::of_made();
    let (last, before) = variants.split_last().unwrap();
    for variant in before {
        reader.read(variant).await.unwrap();
    }
    let error = reader.read(last).await.expect_err(last);
    assert!(!error.retryable(), "{error}");
    error
}

macro_rules! refuses {
    ($($variants:expr => $pattern:pat $(if $guard:expr)?),* $(,)?) => {
        $(
            let error = refused(&$variants).await;
            assert!(matches!(&error, $pattern $(if $guard)?), "{:?}: {error:?}", $variants);
        )*
    };
}

#[tokio::test]
async fn a_sound_repository_is_read() {
    let reader = Reader::of_made();
    let registry = reader.read("good").await.unwrap();
    assert_eq!(listed(&registry), ["acme-mail@1.0.0", "globex-tool@1.0.0"]);
    let found = resolve(&registry, "acme-mail@1.0.0").unwrap();
    assert_eq!((found.publisher.as_str(), found.tree), ("acme", Digest::of(b"tree")));
    let mut text = String::new();
    registry.fetch(&found).await.unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "archive of acme-mail/1.0.0");
    assert_eq!(found.archive, Digest::of(text.as_bytes()));
    assert_eq!(registry.search("tool").unwrap(), [skill("globex-tool@1.0.0")]);
    let roles = registry.status().unwrap();
    assert_eq!(roles.len(), 6);
    assert!(
        roles
            .iter()
            .all(|role| role.problem.is_none() && !role.expired && role.version == Some(1))
    );
    let registry = reader.read("later").await.unwrap();
    assert_eq!(
        listed(&registry),
        ["acme-mail@1.0.0", "acme-mail@1.1.0", "globex-tool@1.0.0"]
    );
    // Reading the same again changes nothing, and so does opening without reading.
    reader.read("later").await.unwrap();
    let registry = reader
        .open(brain_skills::registry::Source::Directory("/nowhere".into()))
        .await;
    assert!(resolve(&registry, "acme-mail@1.1.0").is_ok());
    assert!(registry.refresh().await.is_err());
    assert!(resolve(&registry, "acme-mail@1.1.0").is_ok());
    reader.read("hashed").await.unwrap();
}

#[tokio::test]
async fn a_revoked_skill_is_refused() {
    let registry = Reader::of_made().read("good").await.unwrap();
    let error = resolve(&registry, "globex-bad@1.0.0").unwrap_err();
    assert!(
        matches!(&error, Error::Revoked { reason, .. } if reason == "it reads secrets"),
        "{error}"
    );
    let list = registry.revocations().unwrap();
    assert_eq!(list.len(), 1);
    assert!(list.of(&skill("globex-bad@1.0.0"), &Digest::of(b"")).is_some());
    refuses! { ["altered-revocations"] => Error::Mixed { what, .. } if what == "revoked.json" };
}

#[tokio::test]
async fn expired_metadata_is_refused() {
    refuses! {
        ["expired-timestamp"] => Error::Expired { what, .. } if what == "timestamp.json",
        ["expired-snapshot"] => Error::Expired { what, .. } if what == "snapshot.json",
        ["expired-targets"] => Error::Expired { what, .. } if what == "targets.json",
        ["expired-root"] => Error::Expired { what, .. } if what == "root.json",
    }
    let registry = Reader::of_made().read("expired-acme").await.unwrap();
    assert!(matches!(
        resolve(&registry, "acme-mail@1.0.0"),
        Err(Error::Publisher { .. })
    ));
    assert_eq!(listed(&registry), ["globex-tool@1.0.0"]);
}

#[tokio::test]
async fn a_frozen_registry_is_refused_and_a_clock_set_back_does_not_help() {
    let reader = Reader::of_made();
    let registry = reader.read("good").await.unwrap();
    reader.pass_days(2);
    let expired = |error: &Error| matches!(error, Error::Expired { what, .. } if what == "timestamp.json");
    assert!(expired(&resolve(&registry, "acme-mail@1.0.0").unwrap_err()));
    assert!(expired(&reader.read("good").await.unwrap_err()));
    assert!(
        registry
            .status()
            .unwrap()
            .iter()
            .any(|role| role.name == "timestamp" && role.expired)
    );
    // In the same process, in another one, and for what was read before.
    reader.pass_days(-2);
    assert!(expired(&resolve(&registry, "acme-mail@1.0.0").unwrap_err()));
    drop(registry);
    assert!(expired(&reader.read("good").await.unwrap_err()));
    // What was revoked stays known.
    let registry = reader
        .open(brain_skills::registry::Source::Directory(made().join("good")))
        .await;
    assert_eq!(registry.revocations().unwrap().len(), 1);
}

#[tokio::test]
async fn each_role_expires_also_between_two_refreshes() {
    let reader = Reader::of_made();
    let registry = reader.read("targets-expire-first").await.unwrap();
    reader.pass_days(2);
    assert!(resolve(&registry, "acme-mail@1.0.0").is_ok());
    reader.pass_days(2);
    let error = resolve(&registry, "acme-mail@1.0.0").unwrap_err();
    assert!(
        matches!(&error, Error::Expired { what, .. } if what == "targets.json"),
        "{error}"
    );
    assert!(registry.list().is_err() && registry.refresh().await.is_err());
}

#[tokio::test]
async fn going_back_is_refused() {
    refuses! {
        ["later", "good"] => Error::Rollback { what, had: 2, got: 1 } if what == "timestamp.json",
        ["later", "rollback-snapshot"] => Error::Rollback { what, had: 2, got: 1 } if what == "snapshot.json",
        ["later", "rollback-targets"] => Error::Rollback { what, had: 2, got: 1 } if what == "targets.json",
        ["later", "rollback-acme"] => Error::Rollback { what, had: 2, got: 1 } if what == "acme.json",
        ["later", "rollback-forgotten"] => Error::Rollback { what, had: 2, got: 0 } if what == "acme.json",
    }
}

#[tokio::test]
async fn a_refused_refresh_leaves_what_was_trusted() {
    let reader = Reader::of_made();
    reader.read("later").await.unwrap();
    assert!(reader.read("rollback-targets").await.is_err());
    // What was verified before the failure is not forgotten: this timestamp is older than the one seen then.
    assert!(matches!(reader.read("later").await, Err(Error::Rollback { .. })));
    let registry = reader
        .open(brain_skills::registry::Source::Directory(made().join("later")))
        .await;
    assert!(resolve(&registry, "acme-mail@1.1.0").is_ok());
}

#[tokio::test]
async fn mixed_states_are_refused() {
    refuses! {
        ["mixed-snapshot"] => Error::Mixed { what, .. } if what == "snapshot.json",
        ["mixed-targets"] => Error::Mixed { what, .. } if what == "targets.json",
        ["mixed-hash"] => Error::Mixed { what, .. } if what == "snapshot.json",
    }
    for variant in ["mixed-acme", "gone-acme"] {
        let registry = Reader::of_made().read(variant).await.unwrap();
        assert!(
            matches!(resolve(&registry, "acme-mail@1.0.0"), Err(Error::Publisher { .. })),
            "{variant}"
        );
        assert!(resolve(&registry, "globex-tool@1.0.0").is_ok());
    }
    // When the missing file is there, the next refresh has it, though no version changed.
    let reader = Reader::of_made();
    reader.read("gone-acme").await.unwrap();
    let registry = reader.read("later").await.unwrap();
    assert!(resolve(&registry, "acme-mail@1.1.0").is_ok());
}

#[tokio::test]
async fn a_root_needs_the_quorum_before_it_and_its_own() {
    refuses! {
        ["root-one-of-two"] => Error::Signatures { what, valid: 1, threshold: 2 } if what == "2.root.json",
        ["root-key-twice"] => Error::Signatures { what, valid: 1, threshold: 2 } if what == "2.root.json",
        ["root-new-quorum-only"] => Error::Signatures { what, valid: 0, threshold: 2 } if what == "2.root.json",
        ["root-old-quorum-only"] => Error::Signatures { what, valid: 0, threshold: 2 } if what == "2.root.json",
        ["root-skips"] => Error::Mixed { what, .. } if what == "2.root.json",
        ["root-key-alias"] => Error::Malformed { .. },
        ["forged-key-id"] => Error::Malformed { reason, .. } if reason.contains("digest of the key"),
        ["revoked-targets-key"] => Error::Signatures { what, .. } if what == "targets.json",
    }
    Reader::of_made().read("root-both-quorums").await.unwrap();
}

#[tokio::test]
async fn keys_are_rotated_and_the_old_ones_are_worth_nothing() {
    let reader = Reader::of_made();
    reader.read("good").await.unwrap();
    let registry = reader.read("rotated").await.unwrap();
    assert_eq!(registry.status().unwrap()[0].version, Some(2));
    assert!(resolve(&registry, "acme-mail@1.0.0").is_ok());
    // The old repository is signed by keys that the root no longer names.
    assert!(matches!(reader.read("later").await, Err(Error::Signatures { .. })));
}

#[tokio::test]
async fn new_keys_recover_from_a_version_far_ahead() {
    let reader = Reader::of_made();
    reader.read("far").await.unwrap();
    assert!(matches!(reader.read("good").await, Err(Error::Rollback { .. })));
    reader.read("rotated").await.unwrap();
}

#[tokio::test]
async fn a_root_that_takes_a_key_away_takes_what_the_key_signed() {
    let reader = Reader::of_made();
    let registry = reader.read("good").await.unwrap();
    drop(registry);
    assert!(reader.read("revoked-targets-key").await.is_err());
    let registry = reader
        .open(brain_skills::registry::Source::Directory(made().join("good")))
        .await;
    assert!(matches!(
        resolve(&registry, "acme-mail@1.0.0"),
        Err(Error::NotRefreshed)
    ));
}

#[tokio::test]
async fn one_publisher_cannot_sign_anothers_names_nor_stop_anybody() {
    let registry = Reader::of_made().read("stray").await.unwrap();
    assert!(matches!(
        resolve(&registry, "acme-mail@9.9.9"),
        Err(Error::UnknownSkill { .. })
    ));
    assert_eq!(listed(&registry), ["acme-mail@1.0.0", "globex-tool@1.0.0"]);
    assert_eq!(registry.revocations().unwrap().len(), 1);
    let roles = registry.status().unwrap();
    let globex = roles.iter().find(|role| role.name == "globex").unwrap();
    assert!(globex.problem.as_ref().unwrap().contains("2 targets outside its paths"));
    for variant in [
        "revoked-publisher-key",
        "publisher-key-alias",
        "publisher-one-of-two",
        "endless-acme",
    ] {
        let registry = Reader::of_made().read(variant).await.unwrap();
        let error = resolve(&registry, "acme-mail@1.0.0").unwrap_err();
        assert!(matches!(error, Error::Publisher { .. }), "{variant}: {error}");
        assert_eq!(listed(&registry), ["globex-tool@1.0.0"], "{variant}");
    }
    for variant in ["rotated-publisher-key", "publisher-two-of-two"] {
        let registry = Reader::of_made().read(variant).await.unwrap();
        assert!(resolve(&registry, "acme-mail@1.1.0").is_ok(), "{variant}");
    }
}

#[tokio::test]
async fn bad_signatures_and_types_are_refused() {
    refuses! {
        ["swapped-type"] => Error::Malformed { reason, .. } if reason.contains("no timestamp metadata"),
        ["malleable"] => Error::Signatures { valid: 0, .. },
        ["unsigned"] => Error::Signatures { valid: 0, .. },
        ["changed"] => Error::Signatures { valid: 0, .. },
        ["small-order"] => Error::Malformed { reason, .. } if reason.contains("no sound Ed25519 key"),
        ["duplicate-json-key"] => Error::Malformed { reason, .. } if reason.contains("twice"),
    }
}

#[tokio::test]
async fn endless_files_are_refused() {
    refuses! {
        ["endless-timestamp"] => Error::TooLarge { .. },
        ["endless-root"] => Error::TooLarge { .. },
        ["endless-snapshot"] => Error::TooLarge { .. },
        ["endless-targets"] => Error::TooLarge { .. },
    }
}

#[tokio::test]
async fn other_bytes_than_the_signed_ones_are_refused() {
    for variant in ["archive-longer", "archive-altered", "archive-shorter"] {
        let reader = Reader::of_made();
        let registry = reader.read(variant).await.unwrap();
        let found = resolve(&registry, "acme-mail@1.0.0").unwrap();
        let error = registry.fetch(&found).await.unwrap_err();
        assert!(
            matches!(error, Error::TooLarge { .. } | Error::Mixed { .. }),
            "{variant}: {error}"
        );
    }
}

#[tokio::test]
async fn another_root_is_refused() {
    let reader = Reader::of_made();
    reader.read("good").await.unwrap();
    let text = std::fs::read_to_string(made().join("root.json")).unwrap();
    // The same root in another spelling is another pin; whether it is the same chain cannot be told.
    let other = brain_skills::registry::TrustRoot::new(&format!("{text} ")).unwrap();
    let source = brain_skills::registry::Source::Directory(made().join("good"));
    let opened = brain_skills::registry::Registry::open(&source, &other, reader.state.path(), reader.settings()).await;
    assert!(matches!(opened, Err(Error::OtherRoot { .. })));
    assert!(brain_skills::registry::TrustRoot::new(&text.replace("\"version\":1", "\"version\":2")).is_err());
}

#[tokio::test]
async fn every_root_of_the_chain_may_be_pinned() {
    let mut reader = Reader::of_made();
    reader.read("rotated").await.unwrap();
    let root = |path: &str| {
        let text = std::fs::read_to_string(made().join(path)).unwrap();
        brain_skills::registry::TrustRoot::new(&text).unwrap()
    };
    for pinned in ["rotated/metadata/2.root.json", "root.json"] {
        reader.root = root(pinned);
        reader.read("rotated").await.unwrap();
    }
    let source = brain_skills::registry::Source::Directory(made().join("rotated"));
    let other = root("root-both-quorums/metadata/2.root.json");
    let opened = brain_skills::registry::Registry::open(&source, &other, reader.state.path(), reader.settings()).await;
    assert!(matches!(opened, Err(Error::OtherRoot { .. })));
    // A newer root than the chain reached goes on from there, and with the same keys nothing goes back.
    let mut reader = Reader::of_made();
    reader.read("later").await.unwrap();
    reader.root = other;
    assert!(matches!(reader.read("good").await, Err(Error::Rollback { .. })));
    assert!(reader.read("later").await.is_ok());
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_not_forgotten() {
    let reader = Reader::of_made();
    reader.read("later").await.unwrap();
    std::fs::write(reader.state.path().join("trusted.json"), "{").unwrap();
    let source = brain_skills::registry::Source::Directory(made().join("good"));
    let opened =
        brain_skills::registry::Registry::open(&source, &reader.root, reader.state.path(), reader.settings()).await;
    assert!(matches!(opened, Err(Error::Local { .. })));
}

#[tokio::test]
async fn readers_of_one_state_wait_for_each_other() {
    let reader = Reader::of_made();
    let source = || brain_skills::registry::Source::Directory(made().join("later"));
    let mut registries = Vec::new();
    for _ in 0..8 {
        registries.push(reader.open(source()).await);
    }
    let refreshes = registries.into_iter().map(|registry| {
        tokio::spawn(async move {
            registry.refresh().await.unwrap();
            assert!(resolve(&registry, "acme-mail@1.1.0").is_ok());
        })
    });
    for refresh in refreshes.collect::<Vec<_>>() {
        refresh.await.unwrap();
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if entry.is_dir() {
            copy(&entry, &to);
        } else {
            std::fs::copy(&entry, &to).unwrap();
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 150, failure_persistence: None, ..Default::default() })]

    /// Whatever is changed in whatever document: nothing else than what was signed is offered.
    #[test]
    fn changed_documents_offer_nothing_that_was_not_signed(
        file in 0..6_usize,
        changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0..=255_u8), 1..4),
    ) {
        let files =
            ["timestamp.json", "1.snapshot.json", "1.targets.json", "1.acme.json", "1.globex.json", "2.root.json"];
        let reader = Reader::of_made();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        // The rotated one, for its second root.
        let variant = if files[file] == "2.root.json" { "rotated" } else { "good" };
        copy(&made().join(variant), folder.path());
        let path = folder.path().join("metadata").join(files[file]);
        let before = std::fs::read(&path).unwrap();
        let mut bytes = before.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        std::fs::write(&path, &bytes).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let offered = runtime.block_on(async {
            let source = brain_skills::registry::Source::Directory(folder.path().to_owned());
            let registry = reader.open(source).await;
            registry.refresh().await.ok().map(|()| (listed(&registry), resolve(&registry, "acme-mail@1.0.0")))
        });
        let signed = ["acme-mail@1.0.0", "globex-tool@1.0.0"];
        if let Some((listed, acme)) = offered {
            proptest::prop_assert!(listed.iter().all(|skill| signed.contains(&skill.as_str())), "{listed:?}");
            if let Ok(found) = acme {
                proptest::prop_assert_eq!(found.tree, Digest::of(b"tree"));
                proptest::prop_assert_eq!(found.length, "archive of acme-mail/1.0.0".len() as u64);
            }
        } else {
            proptest::prop_assert_ne!(bytes, before);
        }
    }
}

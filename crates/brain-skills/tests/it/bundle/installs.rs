//! What the store keeps: locks, no downgrades, policy, expected digests, removal, and the audit file.

use std::fs;

use brain_skills::{
    Refused, Stage,
    bundle::Bounds,
    digest::Digest,
    policy::Policy,
    store::{Action, Error, Expected, Store},
};

use super::fixture::*;

#[test]
fn a_version_never_gets_other_bytes_until_it_is_released() {
    let home = Home::new();
    let skill = reference("hello@1.0.0");
    let first = home.install("hello@1.0.0", &archive_of("hello@1.0.0", "one")).unwrap();
    let other = archive_of("hello@1.0.0", "two");
    let refused_now = refused(home.install("hello@1.0.0", &other));
    assert_eq!(refused_now.stage, Stage::Reference);
    assert!(refused_now.reason.contains("never changes"));
    assert_eq!(home.store.show(&skill).unwrap().digest, first.digest);
    assert!(matches!(home.store.release(&skill), Err(Error::StillInstalled(_))));
    home.store.remove(&skill).unwrap();
    assert_eq!(refused(home.install("hello@1.0.0", &other)).stage, Stage::Reference);
    home.store.release(&skill).unwrap();
    assert_ne!(home.install("hello@1.0.0", &other).unwrap().digest, first.digest);
    home.store.verify(&skill).unwrap();
}

#[test]
fn the_same_files_again_change_nothing() {
    let home = Home::new();
    let archive = archive_of("hello@1.0.0", "one");
    let first = home.install("hello@1.0.0", &archive).unwrap();
    let lock = fs::read(home.root().join("skills.lock")).unwrap();
    assert_eq!(home.install("hello@1.0.0", &archive).unwrap().digest, first.digest);
    assert_eq!(fs::read(home.root().join("skills.lock")).unwrap(), lock);
    assert_eq!(names(&home.root().join("objects")), [first.digest.hex()]);
    assert!(names(&home.root().join("staging")).is_empty());
}

#[test]
fn a_downgrade_is_meant_or_refused() {
    let home = Home::new();
    let of = |skill: &str| archive_of(skill, "x");
    home.install("hello@2.0.0", &of("hello@2.0.0")).unwrap();
    for older in ["hello@1.9.9", "hello@2.0.0-rc.1"] {
        let refused = refused(home.install(older, &of(older)));
        assert_eq!(refused.stage, Stage::Policy);
        assert!(refused.reason.contains("hello@2.0.0"), "{refused}");
    }
    home.install("other@1.0.0", &of("other@1.0.0")).unwrap();
    home.install("hello@2.0.1", &of("hello@2.0.1")).unwrap();
    home.install("hello@2.0.0", &of("hello@2.0.0")).unwrap();
    let old = of("hello@1.9.9");
    install(&home.store, "hello@1.9.9", &old, &open_policy(), &UNSIGNED, true).unwrap();
    let listed: Vec<String> = home
        .store
        .list()
        .unwrap()
        .iter()
        .map(|record| record.reference.to_string())
        .collect();
    assert_eq!(listed, ["hello@1.9.9", "hello@2.0.0", "hello@2.0.1", "other@1.0.0"]);
}

#[test]
fn policy_comes_before_everything_else() {
    let home = Home::new();
    let policy = Policy {
        allow: vec!["hello".parse().unwrap()],
        deny: vec!["hel*@1.*".parse().unwrap()],
        ..open_policy()
    };
    // The bytes would be refused too; they are not even looked at.
    let refused_now = refused(install(
        &home.store,
        "hello@1.0.0",
        b"no archive",
        &policy,
        &UNSIGNED,
        false,
    ));
    assert_eq!(refused_now.stage, Stage::Policy);
    let archive = archive_of("hello@1.0.0", "x");
    let signed_only = Policy::default();
    let refused_now = refused(install(
        &home.store,
        "hello@1.0.0",
        &archive,
        &signed_only,
        &UNSIGNED,
        false,
    ));
    assert_eq!(refused_now.stage, Stage::Signature);
    home.untouched();
}

#[test]
fn signed_metadata_vouches_for_exactly_these_files() {
    let home = Home::new();
    let archive = archive_of("hello@1.0.0", "x");
    let digest = brain_skills::bundle::read_archive(&archive[..], Bounds::default())
        .unwrap()
        .tree
        .digest();
    let signed = |digest| Expected::Signed {
        publisher: "studio".to_owned(),
        digest,
    };
    let policy = Policy::default();
    let wrong = install(
        &home.store,
        "hello@1.0.0",
        &archive,
        &policy,
        &signed(Digest::of(b"")),
        false,
    );
    assert_eq!(refused(wrong).stage, Stage::Checksum);
    home.untouched();
    let record = install(&home.store, "hello@1.0.0", &archive, &policy, &signed(digest), false).unwrap();
    assert_eq!(record.publisher.as_deref(), Some("studio"));
}

#[test]
fn the_store_forgets_what_is_removed_but_not_its_digest() {
    let home = Home::new();
    let skill = reference("hello@1.0.0");
    let record = home.install("hello@1.0.0", &archive_of("hello@1.0.0", "x")).unwrap();
    assert_eq!(home.store.gc().unwrap(), []);
    home.store.remove(&skill).unwrap();
    assert!(matches!(home.store.remove(&skill), Err(Error::NotInstalled(_))));
    assert!(matches!(home.store.verify(&skill), Err(Error::NotInstalled(_))));
    assert_eq!(home.store.gc().unwrap(), [record.digest]);
    assert!(names(&home.root().join("objects")).is_empty() && names(&home.root().join("listings")).is_empty());
    assert_eq!(home.store.locked(&skill).unwrap(), Some(record.digest));
}

#[test]
fn a_lock_file_that_cannot_be_read_stops_everything() {
    let home = Home::new();
    home.install("hello@1.0.0", &archive_of("hello@1.0.0", "x")).unwrap();
    for text in [
        "{",
        r#"{"format":2,"skills":{}}"#,
        r#"{"format":1,"skills":{},"skills":{}}"#,
        r#"{"format":1,"skills":{"hello@latest":"sha256:00"}}"#,
        r#"{"format":1,"skills":{},"more":1}"#,
    ] {
        fs::write(home.root().join("skills.lock"), text).unwrap();
        let error = home
            .install("hello@1.0.1", &archive_of("hello@1.0.1", "x"))
            .unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{text}: {error}");
        assert_eq!(fs::read_to_string(home.root().join("skills.lock")).unwrap(), text);
    }
}

#[test]
fn audit_lines_tell_of_everything() {
    let home = Home::new();
    let skill = reference("hello@1.0.0");
    home.install("hello@1.0.0", b"no archive").unwrap_err();
    let elsewhere = Refused::at(Stage::Download, "a redirect to another host");
    home.store.refuse(&skill, &elsewhere).unwrap();
    home.install("hello@1.0.0", &archive_of("hello@1.0.0", "x")).unwrap();
    home.store.remove(&skill).unwrap();
    home.store.release(&skill).unwrap();
    let lines = home.store.audit().unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.action, line.stage)).collect();
    assert_eq!(
        told,
        [
            (Action::Refused, Some(Stage::Archive)),
            (Action::Refused, Some(Stage::Download)),
            (Action::Installed, None),
            (Action::Removed, None),
            (Action::Released, None)
        ]
    );
    assert_eq!(
        lines.iter().map(|line| line.number).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
}

#[test]
fn an_audit_line_that_is_edited_or_cut_off_is_noticed() {
    let home = Home::new();
    let skill = reference("hello@1.0.0");
    for reason in ["first", "second", "third"] {
        home.store.refuse(&skill, &Refused::at(Stage::Policy, reason)).unwrap();
    }
    let path = home.root().join(".install-audit.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let damaged = |text: String, also_writing: bool| {
        fs::write(&path, &text).unwrap();
        assert!(matches!(home.store.audit(), Err(Error::Damaged { .. })), "{text}");
        if also_writing {
            let archive = archive_of("hello@1.0.0", "x");
            assert!(matches!(
                home.install("hello@1.0.0", &archive),
                Err(Error::Damaged { .. })
            ));
            assert!(home.store.list().unwrap().is_empty());
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    };
    damaged(whole.replace("first", "worst"), false);
    damaged(whole.replace("third", "theft"), true);
    damaged(lines[..2].concat(), true);
    damaged([lines[0], lines[2]].concat(), true);
    damaged(lines[1..].concat(), true);
    damaged(format!("{whole}{}", lines[2]), true);
    damaged(String::new(), true);
    // Half a line of one who was stopped is no line, and does not stop others.
    fs::write(&path, format!("{whole}{}", &lines[2][..20])).unwrap();
    assert_eq!(home.store.audit().unwrap().len(), 3);
    home.store
        .refuse(&skill, &Refused::at(Stage::Policy, "fourth"))
        .unwrap();
    assert_eq!(home.store.audit().unwrap().len(), 4);
}

#[test]
fn a_store_that_is_opened_again_is_the_same() {
    let home = Home::new();
    let record = home.install("hello@1.0.0", &archive_of("hello@1.0.0", "x")).unwrap();
    fs::create_dir_all(home.root().join("staging/left/over")).unwrap();
    fs::write(home.root().join("staging/left/over/file"), "x").unwrap();
    fs::write(home.root().join("staging/draft"), "x").unwrap();
    let again = Store::open(&home.root(), Bounds::default()).unwrap();
    assert_eq!(again.list().unwrap(), [record]);
    assert!(names(&home.root().join("staging")).is_empty());
}

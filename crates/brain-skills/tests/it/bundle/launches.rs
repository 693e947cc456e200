//! What is launched is what was installed, is still allowed, and stays while it runs.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use brain_skills::{
    Stage,
    bundle::Bounds,
    policy::Policy,
    store::{Error, Launchable, Revocations, Store},
};

use super::fixture::*;

fn launchable(home: &Home) -> Result<Launchable, Error> {
    home.store
        .launchable(&reference("hello@1.0.0"), &open_policy(), &Revocations::default())
}

fn unlock(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o200)).unwrap();
}

#[test]
fn what_was_installed_can_be_launched() {
    let home = Home::new();
    let record = home.install("hello@1.0.0", &archive_of("hello@1.0.0", "x")).unwrap();
    let skill = launchable(&home).unwrap();
    assert_eq!(skill.digest, record.digest);
    assert_eq!(skill.granted, record.granted);
    assert_eq!(skill.manifest.entrypoint().argv(), ["./run"]);
    assert_eq!(fs::read(skill.path.join("run")).unwrap(), b"x");
}

/// Each change of what is on the disk is noticed at the next launch, and named.
#[test]
fn whatever_was_changed_is_noticed_and_named() {
    type Change = fn(&Path);
    let changes: [(Change, &str); 7] = [
        (|object| fs::write(object.join("run"), "y").unwrap(), "run was changed"),
        (
            |object| fs::set_permissions(object.join("run"), fs::Permissions::from_mode(0o644)).unwrap(),
            "run was changed",
        ),
        (|object| fs::remove_file(object.join("run")).unwrap(), "run is missing"),
        (|object| fs::write(object.join("more"), "y").unwrap(), "more was added"),
        (
            |object| fs::rename(object.join("run"), object.join("runs")).unwrap(),
            "runs was added",
        ),
        (
            |object| {
                fs::remove_file(object.join("run")).unwrap();
                std::os::unix::fs::symlink("/bin/sh", object.join("run")).unwrap();
            },
            "symbolic link",
        ),
        (
            |object| fs::hard_link(object.join("run"), object.join("../../held")).unwrap(),
            "hard link",
        ),
    ];
    for (change, says) in changes {
        let home = Home::new();
        let archive = archive_of("hello@1.0.0", "x");
        let record = home.install("hello@1.0.0", &archive).unwrap();
        let object = home.root().join("objects").join(record.digest.hex());
        unlock(&object);
        unlock(&object.join("run"));
        let times = fs::metadata(object.join("run")).unwrap().modified().unwrap();
        change(&object);
        if let Ok(run) = fs::File::options().write(true).open(object.join("run")) {
            // As one would who hides it.
            let _ = run.set_modified(times);
        }
        for error in [
            launchable(&home).map(|_| ()).unwrap_err(),
            home.store.verify(&reference("hello@1.0.0")).map(|_| ()).unwrap_err(),
        ] {
            assert!(
                matches!(&error, Error::Damaged { .. }) && error.to_string().contains(says),
                "{error}"
            );
        }
        // Installing it again mends it.
        home.install("hello@1.0.0", &archive).unwrap();
        launchable(&home).unwrap();
    }
}

#[test]
fn a_record_that_points_to_other_files_is_not_believed() {
    let home = Home::new();
    home.install("hello@1.0.0", &archive_of("hello@1.0.0", "x")).unwrap();
    let evil = home.install("evil@1.0.0", &archive_of("evil@1.0.0", "x")).unwrap();
    let path = home.root().join("skills/hello/1.0.0.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["digest"] = evil.digest.to_string().into();
    fs::write(&path, record.to_string()).unwrap();
    assert!(matches!(launchable(&home), Err(Error::Damaged { .. })));
    record["reference"] = "evil@1.0.0".into();
    fs::write(&path, record.to_string()).unwrap();
    assert!(matches!(launchable(&home), Err(Error::Damaged { .. })));
}

#[test]
fn what_was_revoked_or_denied_since_is_not_launched() {
    let home = Home::new();
    let record = home.install("hello@1.0.0", &archive_of("hello@1.0.0", "x")).unwrap();
    let skill = reference("hello@1.0.0");
    for revocations in [
        Revocations::new([skill.clone()], []),
        Revocations::new([], [record.digest]),
    ] {
        let refused = refused(home.store.launchable(&skill, &open_policy(), &revocations));
        assert_eq!(refused.stage, Stage::Revoked);
    }
    let denied = Policy {
        deny: vec!["hello".parse().unwrap()],
        ..open_policy()
    };
    let none = Revocations::default();
    assert_eq!(
        refused(home.store.launchable(&skill, &denied, &none)).stage,
        Stage::Policy
    );
    assert_eq!(
        refused(home.store.launchable(&skill, &Policy::default(), &none)).stage,
        Stage::Signature
    );
}

#[test]
fn nothing_is_collected_while_it_runs() {
    let home = Home::new();
    let record = home.install("hello@1.0.0", &archive_of("hello@1.0.0", "x")).unwrap();
    let running = launchable(&home).unwrap();
    let also = launchable(&home).unwrap();
    home.store.remove(&reference("hello@1.0.0")).unwrap();
    let other = Store::open(&home.root(), Bounds::default()).unwrap();
    assert_eq!(other.gc().unwrap(), []);
    assert_eq!(fs::read(running.path.join("run")).unwrap(), b"x");
    drop(running);
    assert_eq!(other.gc().unwrap(), []);
    drop(also);
    assert_eq!(other.gc().unwrap(), [record.digest]);
}

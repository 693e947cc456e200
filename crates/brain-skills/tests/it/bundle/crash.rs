//! A process that installs is killed at any moment: what was installed before stays whole.

use std::{
    env,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use brain_skills::{
    bundle::Bounds,
    store::{Revocations, Store},
};

use super::fixture::*;

const ROOT: &str = "BRAIN_SKILLS_TEST_CRASH_ROOT";

/// Kills it also where the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The process that is killed: it installs, removes and collects until then.
#[test]
#[ignore = "started by the test below, as the process that is killed"]
fn installs_for_ever() {
    let Some(root) = env::var_os(ROOT) else { return };
    let until = Instant::now() + Duration::from_secs(60);
    let mut number = 0_u32;
    while Instant::now() < until {
        let store = Store::open(Path::new(&root), Bounds::default()).unwrap();
        // New files each time, so that each install goes all the way.
        let skill = format!("churn@1.{number}.{}", std::process::id());
        install(
            &store,
            &skill,
            &archive_of(&skill, "x"),
            &open_policy(),
            &UNSIGNED,
            true,
        )
        .unwrap();
        if number % 3 == 2 {
            store.remove(&reference(&skill)).unwrap();
            store.gc().unwrap();
        }
        number += 1;
    }
}

#[test]
fn whoever_is_killed_while_installing_leaves_what_was_there_whole() {
    let home = Home::new();
    let kept = home.install("hello@1.0.0", &archive_of("hello@1.0.0", "kept")).unwrap();
    let started = |home: &Home| {
        Killed(
            Command::new(env::current_exe().unwrap())
                .args(["--exact", "bundle::crash::installs_for_ever", "--ignored"])
                .env(ROOT, home.root())
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        )
    };
    for round in 0..60_u64 {
        let before = home.store.audit().unwrap().len();
        let mut child = started(&home);
        let until = Instant::now() + Duration::from_secs(20);
        while home.store.audit().unwrap().len() <= before {
            assert!(Instant::now() < until, "it does not install");
            assert!(child.0.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_micros(500));
        }
        // It is at work for certain, and killed at another moment of an install each time.
        std::thread::sleep(Duration::from_micros(round * 1237 % 20_000));
        drop(child);
        let store = Store::open(&home.root(), Bounds::default()).unwrap();
        assert!(names(&home.root().join("staging")).is_empty());
        let records = store.list().unwrap();
        assert!(records.contains(&kept));
        for record in &records {
            store
                .launchable(&record.reference, &open_policy(), &Revocations::default())
                .unwrap();
        }
        store.audit().unwrap();
        store.gc().unwrap();
        let objects = names(&home.root().join("objects"));
        let mut needed: Vec<String> = records.iter().map(|record| record.digest.hex()).collect();
        needed.sort();
        assert_eq!(objects, needed);
        for record in records.iter().filter(|record| **record != kept) {
            store.remove(&record.reference).unwrap();
        }
    }
}

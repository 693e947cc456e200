//! Many installs at a time, each through a store of its own as another process would have it.

use std::sync::Barrier;

use brain_skills::{
    bundle::Bounds,
    store::{Error, Store},
};

use super::fixture::*;

const MANY: usize = 16;

fn at_once<T: Send>(home: &Home, act: impl Fn(&Store, usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(MANY);
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..MANY)
            .map(|number| {
                let (barrier, act, root) = (&barrier, &act, home.root());
                scope.spawn(move || {
                    barrier.wait();
                    act(&Store::open(&root, Bounds::default()).unwrap(), number)
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[track_caller]
fn whole(home: &Home, skills: usize, lines: usize) {
    let records = home.store.list().unwrap();
    assert_eq!(records.len(), skills);
    for record in records {
        home.store.verify(&record.reference).unwrap();
    }
    assert!(names(&home.root().join("staging")).is_empty());
    assert_eq!(home.store.audit().unwrap().len(), lines);
}

#[test]
fn sixteen_installs_of_the_same_version_are_one() {
    let home = Home::new();
    let archive = archive_of("hello@1.0.0", "x");
    let records = at_once(&home, |store, _| {
        install(store, "hello@1.0.0", &archive, &open_policy(), &UNSIGNED, false).unwrap()
    });
    assert!(records.iter().all(|record| record.digest == records[0].digest));
    whole(&home, 1, MANY);
}

#[test]
fn sixteen_installs_of_one_version_with_different_bytes_have_one_winner() {
    let home = Home::new();
    let results = at_once(&home, |store, number| {
        let archive = archive_of("hello@1.0.0", &format!("text {number}"));
        install(store, "hello@1.0.0", &archive, &open_policy(), &UNSIGNED, false)
    });
    let won: Vec<_> = results.iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Ok(_) | Err(Error::Refused(_))))
    );
    assert_eq!(
        home.store.show(&reference("hello@1.0.0")).unwrap().digest,
        won[0].digest
    );
    whole(&home, 1, MANY);
}

#[test]
fn sixteen_versions_and_names_do_not_get_in_each_others_way() {
    let home = Home::new();
    at_once(&home, |store, number| {
        let skill = format!("hello-{}@1.0.{number}", number % 4);
        install(store, &skill, &archive_of(&skill, "x"), &open_policy(), &UNSIGNED, true).unwrap();
        store.verify(&reference(&skill)).unwrap();
        store.gc().unwrap();
    });
    whole(&home, MANY, MANY);
}

//! Installed skills: each tenant's own, recorded, and never the same version with other bytes.

use brain_swarm::{
    audit,
    digest::Digest,
    skills::{self, Error, Installed, NewSkill},
};
use serde_json::json;

use crate::{tenants::tenant, world::World};

fn new(version: &str, bytes: &[u8]) -> NewSkill {
    NewSkill {
        name: "calendar-triage".to_owned(),
        version: version.to_owned(),
        digest: Digest::of(bytes),
        publisher: Some("acme".to_owned()),
        description: "Sorts a calendar.".to_owned(),
        granted: json!({"commands": ["sort"]}),
    }
}

async fn names(world: &World, of: &str) -> Vec<String> {
    let all = skills::list(&world.postgres, &tenant(of), ("", ""), 100).await.unwrap();
    all.iter().map(Installed::reference).collect()
}

async fn actions(world: &World, of: &str) -> Vec<String> {
    let query = audit::Query {
        tenant_id: tenant(of),
        action_prefix: None,
        actor_id: None,
        approval_state: None,
        target: None,
        before: None,
        limit: 100,
    };
    let page = audit::list(&world.postgres, &query).await.unwrap();
    page.records.into_iter().map(|record| record.action).rev().collect()
}

#[tokio::test]
async fn are_each_tenants_own() {
    let world = World::new().await;
    let acme = tenant("acme");
    let installed = skills::install(&world.postgres, &acme, new("1.0.0", b"a"), "token:1")
        .await
        .unwrap();
    assert_eq!(installed.reference(), "calendar-triage@1.0.0");
    skills::install(&world.postgres, &acme, new("1.1.0", b"b"), "token:1")
        .await
        .unwrap();
    // Another tenant's version of the same name may have other bytes.
    skills::install(&world.postgres, &tenant("beta"), new("1.0.0", b"c"), "token:2")
        .await
        .unwrap();
    assert_eq!(
        names(&world, "acme").await,
        ["calendar-triage@1.0.0", "calendar-triage@1.1.0"]
    );
    assert_eq!(names(&world, "beta").await, ["calendar-triage@1.0.0"]);
    let key = ("calendar-triage", "1.0.0");
    assert_eq!(skills::get(&world.postgres, &acme, key).await.unwrap(), Some(installed));
    assert_eq!(
        skills::get(&world.postgres, &tenant("default"), key).await.unwrap(),
        None
    );
    assert!(
        !skills::remove(&world.postgres, &tenant("default"), key, "x")
            .await
            .unwrap()
    );
    assert!(skills::remove(&world.postgres, &acme, key, "token:1").await.unwrap());
    assert!(!skills::remove(&world.postgres, &acme, key, "token:1").await.unwrap());
    assert_eq!(names(&world, "acme").await, ["calendar-triage@1.1.0"]);
    assert_eq!(names(&world, "beta").await, ["calendar-triage@1.0.0"]);
    let mut in_use = skills::digests_in_use(&world.postgres).await.unwrap();
    in_use.sort();
    let mut expected = [Digest::of(b"b"), Digest::of(b"c")];
    expected.sort();
    assert_eq!(in_use, expected);
    assert_eq!(
        actions(&world, "acme").await,
        [skills::INSTALLED, skills::INSTALLED, skills::REMOVED]
    );
}

#[tokio::test]
async fn never_change_their_bytes() {
    let world = World::new().await;
    let acme = tenant("acme");
    let install = async |bytes: &[u8]| skills::install(&world.postgres, &acme, new("1.0.0", bytes), "token:1").await;
    install(b"a").await.unwrap();
    let key = ("calendar-triage", "1.0.0");
    for removed in [false, true] {
        if removed {
            assert!(skills::remove(&world.postgres, &acme, key, "token:1").await.unwrap());
        }
        match install(b"b").await {
            Err(Error::OtherBytes { before, .. }) => assert_eq!(before, Digest::of(b"a")),
            other => panic!("{other:?}"),
        }
    }
    install(b"a").await.unwrap();
    assert_eq!(names(&world, "acme").await, ["calendar-triage@1.0.0"]);
    let refused = ("calendar-triage@2.0.0", "signature", "nobody signed it");
    skills::refused(&world.postgres, &acme, "token:1", refused)
        .await
        .unwrap();
    assert_eq!(
        actions(&world, "acme").await,
        [skills::INSTALLED, skills::REMOVED, skills::INSTALLED, skills::REFUSED],
        "an installation that failed leaves no record of its own"
    );
}

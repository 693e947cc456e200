//! Storing, replacing and forgetting.

use brain_connectivity::memory::{Error, MAX_BATCH, MAX_CONTENT_BYTES, NewMemory, Query, VectorMemory};
use brain_connectivity::postgres::Postgres;
use brain_testkit::TestDatabase;
use serde_json::json;

use super::{about, ids, memory, migrate, near, remembered};

async fn database() -> (TestDatabase, Postgres) {
    let database = TestDatabase::create(migrate).await;
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    (database, postgres)
}

#[tokio::test]
async fn storing_again_replaces_everything_but_the_time_of_the_first() {
    let (_database, postgres) = database().await;
    let memory = memory(&postgres, 2);
    memory
        .upsert("default", &[remembered("m", "first", Some(&[1.0, 0.0]))])
        .await
        .unwrap();
    let before = memory.search(&about("first")).await.unwrap().remove(0).memory;

    let metadata = json!({ "a": [1, { "b": "ü" }] }).as_object().unwrap().clone();
    let changed = NewMemory {
        agent_id: "other".into(),
        run_id: "later".into(),
        metadata: metadata.clone(),
        ..remembered("m", "second", None)
    };
    assert_eq!(memory.upsert("default", &[changed]).await.unwrap(), 1);
    assert!(memory.search(&about("first")).await.unwrap().is_empty());
    assert!(
        memory.search(&near(&[1.0, 0.0])).await.unwrap().is_empty(),
        "the embedding is gone"
    );
    let after = memory.search(&about("second")).await.unwrap().remove(0).memory;
    assert_eq!(
        (after.agent_id.as_str(), after.run_id.as_str(), after.metadata),
        ("other", "later", metadata)
    );
    assert_eq!(after.created_at, before.created_at);
    assert!(after.updated_at > before.updated_at);
}

#[tokio::test]
async fn the_last_of_an_id_counts_and_tenants_do_not_meet() {
    let (_database, postgres) = database().await;
    let memory = memory(&postgres, 2);
    let batch = [
        remembered("m", "one", Some(&[1.0, 0.0])),
        remembered("n", "x", None),
        remembered("m", "two", None),
    ];
    assert_eq!(memory.upsert("default", &batch).await.unwrap(), 2);
    memory.upsert("other", &[remembered("m", "three", None)]).await.unwrap();
    assert!(memory.search(&about("one")).await.unwrap().is_empty());
    assert_eq!(memory.search(&about("two")).await.unwrap().len(), 1);
    assert!(memory.search(&about("three")).await.unwrap().is_empty());

    assert_eq!(memory.delete("default", &["m", "n", "absent"]).await.unwrap(), 2);
    assert_eq!(memory.delete("default", &["m"]).await.unwrap(), 0);
    assert!(memory.search(&about("two")).await.unwrap().is_empty());
    assert_eq!(
        memory
            .search(&Query {
                tenant: "other".into(),
                ..about("three")
            })
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_batch_is_stored_whole_or_not_at_all() {
    let (_database, postgres) = database().await;
    let memory = memory(&postgres, 2);
    let refused = memory
        .upsert(
            "default",
            &[remembered("a", "word", None), remembered("b", "word", Some(&[1.0]))],
        )
        .await;
    assert!(
        matches!(
            refused,
            Err(Error::Dimensions {
                given: 1,
                expected: 2,
                ..
            })
        ),
        "{refused:?}"
    );
    assert!(memory.search(&about("word")).await.unwrap().is_empty());
    assert_eq!(memory.upsert("default", &[]).await.unwrap(), 0);

    let full: Vec<_> = (0..MAX_BATCH)
        .map(|number| remembered(&number.to_string(), "word", Some(&[1.0, 2.0])))
        .collect();
    assert_eq!(memory.upsert("default", &full).await.unwrap(), MAX_BATCH as u64);
    let more = [full, vec![remembered("more", "", None)]].concat();
    assert!(matches!(
        memory.upsert("default", &more).await,
        Err(Error::Invalid { .. })
    ));
    let ids = vec!["x"; MAX_BATCH + 1];
    assert!(matches!(
        memory.delete("default", &ids).await,
        Err(Error::Invalid { .. })
    ));
}

/// The full-text index is the narrowest place: what is accepted must fit in, and all of it must be found.
#[tokio::test]
async fn the_longest_texts_are_stored_and_searched_to_their_end() {
    let (_database, postgres) = database().await;
    let memory = memory(&postgres, 2);
    let of_words = |word: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for number in 0.. {
            let word = word(number);
            if text.len() + word.len() + 5 > MAX_CONTENT_BYTES {
                break;
            }
            text.push_str(&word);
        }
        text + " last"
    };
    let texts = [
        of_words(&|number| format!("{number:x} ")),
        of_words(&|number| format!("a{number}-b{number} ")),
        of_words(&|number| {
            format!(
                "{}{} ",
                char::from_u32(0x4E00 + (number % 20_000) as u32).unwrap(),
                number / 20_000
            )
        }),
        of_words(&|number| format!("https://h{number}.org/p{number} ")),
        of_words(&|_| "x".to_owned()),
    ];
    for (number, text) in texts.iter().enumerate() {
        memory
            .upsert("default", &[remembered(&number.to_string(), text, None)])
            .await
            .unwrap();
        let query = Query {
            limit: 500,
            ..about("last")
        };
        let hits = memory.search(&query).await.unwrap();
        assert!(ids(&hits).contains(&number.to_string().as_str()), "{number}");
    }
}

#[tokio::test]
async fn overlapping_batches_at_once_do_not_wait_for_each_other_for_ever() {
    let (_database, postgres) = database().await;
    let memory = memory(&postgres, 2);
    let batches = (0..8).map(|number| {
        let memory = memory.clone();
        let mut batch: Vec<_> = (0..100)
            .map(|id| remembered(&format!("m{id}"), "word", Some(&[1.0, 1.0])))
            .collect();
        batch.rotate_left(number * 13);
        tokio::spawn(async move { memory.upsert("default", &batch).await })
    });
    for batch in batches.collect::<Vec<_>>() {
        assert_eq!(batch.await.unwrap().unwrap(), 100);
    }
}

#[tokio::test]
async fn what_is_switched_off_or_not_migrated_says_so() {
    let database = TestDatabase::empty().await;
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    let error = memory(&postgres, 2).search(&about("word")).await.unwrap_err();
    insta::assert_snapshot!(error, @"the memory table does not fit this program; run `brain migrate up`");
    let error = memory(&postgres, 2)
        .upsert("default", &[remembered("m", "x", None)])
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::NotMigrated(_)) && !error.retryable(),
        "{error:?}"
    );

    let off = VectorMemory::open(postgres, &brain_config::Config::defaults().memory);
    let error = off.search(&about("word")).await.unwrap_err();
    insta::assert_snapshot!(error, @"vector memory is switched off; set STUDIO_BRAIN_VECTOR_STORE_ENABLED=true");
    assert!(matches!(off.upsert("default", &[]).await, Err(Error::Disabled)));
    assert!(matches!(off.delete("default", &[]).await, Err(Error::Disabled)));
}

//! What a search finds, in either mode: words, meaning, filters, and both ways combined.

use brain_connectivity::memory::{Mode, NewMemory, Query};
use serde_json::json;

use super::{Pair, about, ids, near, remembered};

#[tokio::test]
async fn words_find_memories_with_or_without_embeddings() {
    let pair = Pair::start().await;
    for memory in pair.memories(2) {
        let given = [
            remembered("one", "The staging database refuses connections at night.", None),
            remembered(
                "two",
                "Staging is green. The database of the archive is not.",
                Some(&[1.0, 0.0]),
            ),
            remembered("three", "Nights are quiet.", None),
            remembered(
                "url",
                "See https://example.com/runbook?a=1&b=2 for don't-panic's O'Reilly <b>advice</b>",
                None,
            ),
        ];
        memory.upsert("default", &given).await.unwrap();
        let found = async |text: &str| {
            let hits = memory.search(&about(text)).await.unwrap();
            assert!(
                hits.iter()
                    .all(|hit| hit.similarity.is_none() && hit.text_rank == Some(hit.score))
            );
            ids(&hits).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            found("staging").await,
            ["one", "two"],
            "in a shorter text it counts more"
        );
        assert_eq!(
            found("staging database night").await,
            ["one", "two"],
            "the more of the words, the better"
        );
        assert_eq!(found("QUIET").await, ["three"]);
        assert_eq!(
            found("nothing of the kind").await,
            ["two", "one"],
            "`of` and `the` are words like any others"
        );
        assert_eq!(found("absent").await, [""; 0]);
        assert_eq!(found(" & | ! ' :* <-> ( ").await, [""; 0]);
        assert_eq!(found("https://example.com/runbook?a=1&b=2").await, ["url"]);
        assert_eq!(found("o'reilly \\ \"panic").await, ["url"]);
    }
}

#[tokio::test]
async fn meaning_orders_by_similarity_and_then_by_id() {
    let pair = Pair::start().await;
    for memory in pair.memories(2) {
        let given = [
            remembered("north", "", Some(&[0.0, 3.0])),
            remembered("east-b", "", Some(&[2.0, 0.0])),
            remembered("east-a", "", Some(&[0.5, 0.0])),
            remembered("west", "", Some(&[-1.0, 0.0])),
            remembered("words only", "east", None),
        ];
        memory.upsert("default", &given).await.unwrap();
        let hits = memory.search(&near(&[1.0, 0.0])).await.unwrap();
        assert_eq!(ids(&hits), ["east-a", "east-b", "north", "west"]);
        let similarities: Vec<_> = hits.iter().map(|hit| hit.similarity.unwrap()).collect();
        assert_eq!(similarities, [1.0, 1.0, 0.0, -1.0]);
        let hits = memory
            .search(&Query {
                limit: 1,
                ..near(&[1.0, 0.0])
            })
            .await
            .unwrap();
        assert_eq!(ids(&hits), ["east-a"]);
    }
}

#[tokio::test]
async fn what_is_near_in_both_ways_comes_first() {
    let pair = Pair::start().await;
    for memory in pair.memories(2) {
        let given = [
            remembered("meaning", "other words", Some(&[1.0, 0.0])),
            remembered("text", "night", None),
            remembered("both", "a night like any other", Some(&[1.0, 0.1])),
        ];
        memory.upsert("default", &given).await.unwrap();
        let query = Query {
            embedding: Some(vec![1.0, 0.0]),
            ..about("night")
        };
        let hits = memory.search(&query).await.unwrap();
        assert_eq!(ids(&hits), ["both", "meaning", "text"]);
        assert_eq!(hits[0].score, 1.0 / 62.0 + 1.0 / 62.0);
        assert!(hits[0].similarity.is_some() && hits[0].text_rank.is_some());
        assert_eq!((hits[1].text_rank, hits[2].similarity), (None, None));
    }
}

#[tokio::test]
async fn filters_leave_only_what_passes_them() {
    let pair = Pair::start().await;
    for memory in pair.memories(2) {
        let given = |id: &str, agent: &str, run: &str, metadata: serde_json::Value| NewMemory {
            agent_id: agent.to_owned(),
            run_id: run.to_owned(),
            metadata: metadata.as_object().unwrap().clone(),
            ..remembered(id, "word", Some(&[1.0, 1.0]))
        };
        let batch = [
            given("1", "a", "r", json!({ "kind": "fact", "tags": ["x", "y"] })),
            given("2", "a", "s", json!({ "kind": "fact", "source": { "tool": "shell" } })),
            given("3", "b", "r", json!({})),
        ];
        memory.upsert("default", &batch).await.unwrap();
        memory
            .upsert("other", &[given("4", "a", "r", json!({ "kind": "fact" }))])
            .await
            .unwrap();
        for query in [
            about("word"),
            near(&[1.0, 1.0]),
            Query {
                embedding: Some(vec![1.0, 1.0]),
                ..about("word")
            },
        ] {
            let found = async |query: Query| ids(&memory.search(&query).await.unwrap()).join(" ");
            let with = |metadata: serde_json::Value| Query {
                metadata: metadata.as_object().unwrap().clone(),
                ..query.clone()
            };
            assert_eq!(found(query.clone()).await, "1 2 3");
            assert_eq!(
                found(Query {
                    agent: Some("a".into()),
                    ..query.clone()
                })
                .await,
                "1 2"
            );
            assert_eq!(
                found(Query {
                    agent: Some("a".into()),
                    run: Some("r".into()),
                    ..query.clone()
                })
                .await,
                "1"
            );
            assert_eq!(found(with(json!({ "kind": "fact" }))).await, "1 2");
            assert_eq!(found(with(json!({ "tags": ["y"] }))).await, "1");
            assert_eq!(found(with(json!({ "source": { "tool": "shell" } }))).await, "2");
            assert_eq!(found(with(json!({ "kind": null }))).await, "");
            assert_eq!(
                found(Query {
                    tenant: "other".into(),
                    ..query.clone()
                })
                .await,
                "4"
            );
            assert_eq!(
                found(Query {
                    tenant: "nobody".into(),
                    ..query.clone()
                })
                .await,
                ""
            );
        }
    }
}

#[tokio::test]
async fn embeddings_of_another_size_are_found_by_their_text_only() {
    let pair = Pair::start().await;
    for (old, new) in pair.memories(3).into_iter().zip(pair.memories(2)) {
        old.upsert("default", &[remembered("old", "word", Some(&[1.0, 0.0, 0.0]))])
            .await
            .unwrap();
        new.upsert("default", &[remembered("new", "word", Some(&[1.0, 0.0]))])
            .await
            .unwrap();
        assert_eq!(ids(&new.search(&near(&[1.0, 0.0])).await.unwrap()), ["new"]);
        assert_eq!(ids(&old.search(&near(&[1.0, 0.0, 0.0])).await.unwrap()), ["old"]);
        assert_eq!(ids(&new.search(&about("word")).await.unwrap()), ["new", "old"]);
    }
}

#[tokio::test]
async fn the_largest_embeddings_are_searched() {
    const MOST: usize = 16_000;
    let pair = Pair::start().await;
    for memory in pair.memories(MOST) {
        let turned = |by: usize| {
            (0..MOST)
                .map(|at| if (at + by).is_multiple_of(3) { 0.1 } else { -0.2 })
                .collect::<Vec<f32>>()
        };
        let given = [0, 1].map(|by| remembered(&by.to_string(), "", Some(&turned(by))));
        memory.upsert("default", &given).await.unwrap();
        let hits = memory.search(&near(&turned(1))).await.unwrap();
        assert_eq!(ids(&hits), ["1", "0"]);
    }
}

/// What another program wrote into the table must not make a search fail.
#[tokio::test]
async fn what_others_stored_cannot_break_a_search() {
    let pair = Pair::start().await;
    for (memory, postgres) in pair.memories(2).into_iter().zip([&pair.with, &pair.without]) {
        memory
            .upsert("default", &[remembered("good", "", Some(&[1.0, 0.0]))])
            .await
            .unwrap();
        let client = postgres.client().await.unwrap();
        let insert = "INSERT INTO swarm_memory (memory_id, agent_id, run_id, content, embedding, dimensions) VALUES ";
        client
            .batch_execute(&format!("{insert}('zero', 'a', 'r', '', '{{0,0}}'::real[], 2)"))
            .await
            .unwrap();
        // pgvector could not compare it, so it is not let in there.
        let short = client
            .batch_execute(&format!("{insert}('short', 'a', 'r', '', '{{1}}'::real[], 2)"))
            .await;
        assert_eq!(short.is_err(), memory.mode().await.unwrap() == Mode::Pgvector);
        let hits = memory.search(&near(&[1.0, 0.0])).await.unwrap();
        assert_eq!(ids(&hits), ["good"]);
    }
}

//! Taking pgvector into use: with what is stored already, by several at once, and where it is not allowed.

use brain_config::Postgres as Settings;
use brain_connectivity::health::{Probe, Status};
use brain_connectivity::memory::{Mode, VectorStoreProbe};
use brain_connectivity::migrations::Migrations;
use brain_connectivity::postgres::Postgres;
use brain_testkit::TestDatabase;

use super::{ids, memory, migrate, near, remembered};

/// As if the extension had come to the server only after the migrations.
const WITHOUT_PGVECTOR: &str = "ALTER TABLE swarm_memory DROP CONSTRAINT swarm_memory_vector_dims;
    ALTER TABLE swarm_memory ALTER COLUMN embedding TYPE real[] USING embedding::real[];
    DROP EXTENSION vector";

async fn up(settings: &Settings) -> Result<(), String> {
    let postgres = Postgres::open(settings).unwrap();
    Migrations::embedded()
        .up(&postgres)
        .await
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_is_stored_already_is_converted_once_even_by_several_at_once() {
    let database = TestDatabase::create(migrate).await;
    database.client().await.batch_execute(WITHOUT_PGVECTOR).await.unwrap();
    let settings = database.config().postgres;
    let postgres = Postgres::open(&settings).unwrap();
    let memory = memory(&postgres, 2);
    assert_eq!(memory.mode().await.unwrap(), Mode::Exact);
    let given = [
        remembered("b", "", Some(&[1.0, f32::MIN_POSITIVE])),
        remembered("a", "", Some(&[0.1, 0.7])),
        remembered("none", "", None),
    ];
    memory.upsert("default", &given).await.unwrap();
    let before = memory.search(&near(&[1.0, 0.0])).await.unwrap();
    let outcome = VectorStoreProbe::new(memory.clone()).probe().await;
    assert_eq!(outcome.status, Status::Degraded);
    assert_eq!(outcome.details.unwrap()["remedy"], "run `brain migrate up`");

    let runs: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn({
                let settings = settings.clone();
                async move { up(&settings).await }
            })
        })
        .collect();
    for run in runs {
        run.await.unwrap().unwrap();
    }
    assert_eq!(
        memory.mode().await.unwrap(),
        Mode::Pgvector,
        "a memory that is open already goes along"
    );
    assert_eq!(memory.search(&near(&[1.0, 0.0])).await.unwrap(), before);
    assert_eq!(ids(&before), ["b", "a"]);
    assert_eq!(VectorStoreProbe::new(memory).probe().await.status, Status::Ok);
    assert_eq!(
        Migrations::embedded().status(&postgres).await.unwrap().problems(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn who_may_not_create_the_extension_goes_without_and_is_told_why() {
    let database = TestDatabase::empty().await;
    let admin = database.client().await;
    let role = brain_testkit::unique("role").replace('-', "_");
    let name = database.name();
    admin
        .batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT CREATE ON DATABASE {name} TO {role}; GRANT ALL ON SCHEMA public TO {role}"))
        .await
        .unwrap();
    let mut settings = database.config().postgres;
    settings.user.clone_from(&role);
    settings.password = "p".into();
    up(&settings).await.unwrap();
    let memory = memory(&Postgres::open(&settings).unwrap(), 2);
    assert_eq!(memory.mode().await.unwrap(), Mode::Exact);
    memory
        .upsert("default", &[remembered("m", "", Some(&[1.0, 0.0]))])
        .await
        .unwrap();
    let outcome = VectorStoreProbe::new(memory.clone()).probe().await;
    assert_eq!(outcome.status, Status::Degraded);
    insta::assert_snapshot!(outcome.error.unwrap(), @r#"searches without pgvector, which is slower: permission denied to create extension "vector"; let a superuser run `CREATE EXTENSION vector` in this database, then run `brain migrate up`"#);

    admin.batch_execute("CREATE EXTENSION vector").await.unwrap();
    up(&settings).await.unwrap();
    assert_eq!(memory.mode().await.unwrap(), Mode::Pgvector);
    assert_eq!(ids(&memory.search(&near(&[1.0, 0.0])).await.unwrap()), ["m"]);
    let outcome = VectorStoreProbe::new(memory).probe().await;
    assert_eq!((outcome.status, outcome.error), (Status::Ok, None));
    admin
        .batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
        .unwrap();
}

/// An array that pgvector cannot hold stays an array, with everything else.
#[tokio::test]
async fn what_cannot_be_converted_is_left_as_it_is_with_the_reason() {
    let database = TestDatabase::create(migrate).await;
    let client = database.client().await;
    client.batch_execute(WITHOUT_PGVECTOR).await.unwrap();
    client
        .batch_execute(
            "INSERT INTO swarm_memory (memory_id, agent_id, run_id, content, embedding, dimensions)
             VALUES ('m', 'a', 'r', '', '{1,NaN}', 2)",
        )
        .await
        .unwrap();
    let settings = database.config().postgres;
    up(&settings).await.unwrap();
    let memory = memory(&Postgres::open(&settings).unwrap(), 2);
    assert_eq!(memory.mode().await.unwrap(), Mode::Exact);
    let outcome = VectorStoreProbe::new(memory.clone()).probe().await;
    let details = outcome.details.unwrap();
    assert_eq!(
        (outcome.status, details["reason"].as_str()),
        (Status::Degraded, Some("NaN not allowed in vector"))
    );
    assert_eq!(ids(&memory.search(&near(&[1.0, 0.0])).await.unwrap()), [""; 0]);
}

/// With the type in a schema that is not searched, `<=>` would not be found.
#[tokio::test]
async fn an_extension_that_is_not_on_the_search_path_is_read_like_arrays() {
    let database = TestDatabase::create(migrate).await;
    let settings = database.config().postgres;
    let memory = memory(&Postgres::open(&settings).unwrap(), 2);
    let client = database.client().await;
    client
        .batch_execute("CREATE SCHEMA apart; ALTER EXTENSION vector SET SCHEMA apart")
        .await
        .unwrap();
    assert_eq!(memory.mode().await.unwrap(), Mode::Exact);
    memory
        .upsert("default", &[remembered("m", "", Some(&[1.0, 0.0]))])
        .await
        .unwrap();
    assert_eq!(ids(&memory.search(&near(&[1.0, 0.0])).await.unwrap()), ["m"]);
    up(&settings).await.unwrap();
    let outcome = VectorStoreProbe::new(memory).probe().await;
    assert_eq!(outcome.status, Status::Degraded);
    insta::assert_snapshot!(outcome.error.unwrap(), @"searches without pgvector, which is slower: the extension is in a schema that is not on the search path; run `ALTER EXTENSION vector SET SCHEMA public` in this database, then `brain migrate up`");
}

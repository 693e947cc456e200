//! The `vector_store` check.

use brain_config::Config;
use brain_connectivity::health::{Probe, Status};
use brain_connectivity::memory::{VectorMemory, VectorStoreProbe};
use brain_connectivity::postgres::Postgres;
use brain_testkit::TestDatabase;

use super::{Pair, memory, migrate, remembered, settings_of};

#[tokio::test]
async fn off_is_disabled_and_missing_tables_are_an_error() {
    let database = TestDatabase::empty().await;
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    let off = VectorMemory::open(postgres.clone(), &Config::defaults().memory);
    let outcome = VectorStoreProbe::new(off).probe().await;
    assert_eq!(
        (outcome.status, outcome.details, outcome.error),
        (Status::Disabled, None, None)
    );
    let outcome = VectorStoreProbe::new(memory(&postgres, 2)).probe().await;
    assert_eq!(outcome.status, Status::Error);
    insta::assert_snapshot!(outcome.error.unwrap(), @"the memory table is missing; run `brain migrate up`");
}

#[tokio::test]
async fn pgvector_is_ok_and_going_without_is_degraded_with_the_remedy() {
    let pair = Pair::start().await;
    let [with, without] = pair.memories(2);
    let outcome = VectorStoreProbe::new(with.clone()).probe().await;
    assert_eq!((outcome.status, outcome.error), (Status::Ok, None));
    let details = outcome.details.unwrap();
    assert_eq!(
        (details["mode"].as_str(), details["dimensions"].as_i64()),
        (Some("pgvector"), Some(2))
    );
    assert!(details["pgvector"].as_str().unwrap().starts_with("0."), "{details}");
    assert_eq!(details.get("otherDimensions"), None);

    let outcome = VectorStoreProbe::new(without).probe().await;
    assert_eq!(outcome.status, Status::Degraded);
    insta::assert_snapshot!(outcome.error.unwrap(), @"searches without pgvector, which is slower: the server does not have the extension; install pgvector for the server (the pgvector/pgvector image, or the package postgresql-18-pgvector), then run `brain migrate up`");
    insta::assert_json_snapshot!(outcome.details.unwrap(), @r#"
    {
      "dimensions": 2,
      "mode": "exact",
      "reason": "the server does not have the extension",
      "remedy": "install pgvector for the server (the pgvector/pgvector image, or the package postgresql-18-pgvector), then run `brain migrate up`"
    }
    "#);

    memory(&pair.with, 3)
        .upsert("default", &[remembered("m", "", Some(&[1.0, 0.0, 0.0]))])
        .await
        .unwrap();
    let details = VectorStoreProbe::new(with).probe().await.details.unwrap();
    insta::assert_json_snapshot!(details["otherDimensions"], @r#""there are memories with embeddings of another size, which only their text finds; embed them again""#);
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error_and_comes_back() {
    let mut server = brain_testkit::own_postgres(true).await;
    let mut settings = settings_of(&server);
    settings.connection_timeout = std::time::Duration::from_secs(2);
    migrate(settings.clone()).await.unwrap();
    let probe = VectorStoreProbe::new(memory(&Postgres::open(&settings).unwrap(), 2));
    assert_eq!(probe.probe().await.status, Status::Ok);
    server.kill().await.unwrap();
    let outcome = probe.probe().await;
    assert_eq!(outcome.status, Status::Error);
    assert!(outcome.error.unwrap().contains("postgres is unavailable"));
    server.start_again().await.unwrap();
    brain_testkit::eventually("the check is ok again", async || {
        (probe.probe().await.status == Status::Ok).then_some(())
    })
    .await;
}

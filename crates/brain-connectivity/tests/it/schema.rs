//! The schema that the code relies on: `schema.txt` is what the migrations make, and what is missing is named.

use std::path::Path;

use brain_connectivity::migrations::{Migrations, Schema};
use brain_connectivity::postgres::Postgres;
use brain_testkit::TestDatabase;

async fn migrated() -> (TestDatabase, Postgres) {
    let database = TestDatabase::create(async |settings: brain_config::Postgres| {
        let postgres = Postgres::open(&settings).map_err(|error| error.to_string())?;
        Migrations::embedded()
            .up(&postgres)
            .await
            .map_err(|error| error.to_string())?;
        postgres.close();
        Ok::<_, String>(())
    })
    .await;
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    (database, postgres)
}

async fn problems(postgres: &Postgres) -> Vec<String> {
    Migrations::embedded().status(postgres).await.unwrap().problems()
}

/// The files alone, without the conversion of the embedding column, so that the result is the same with and without
/// pgvector.
#[tokio::test]
async fn schema_txt_is_what_the_migrations_make() {
    let database = TestDatabase::empty().await;
    let client = database.client().await;
    for file in Migrations::embedded().files() {
        client.batch_execute(&file.sql).await.unwrap();
    }
    let made = Schema::read(&client).await.unwrap().to_string().replace(
        "column swarm_memory.embedding real[]\n",
        "column swarm_memory.embedding real[] or vector\n",
    );
    if made != Schema::expected().to_string() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migrations/schema.txt.new");
        std::fs::write(&path, &made).unwrap();
        panic!(
            "the migrations make another schema: look at {} and move it over schema.txt",
            path.display()
        );
    }
}

#[tokio::test]
async fn a_migrated_database_has_no_problems_and_nothing_is_left_to_do() {
    let (_database, postgres) = migrated().await;
    assert!(Migrations::embedded().up(&postgres).await.unwrap().is_empty());
    assert_eq!(problems(&postgres).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_missing_or_altered_is_named() {
    let (database, postgres) = migrated().await;
    let client = database.client().await;
    for (statement, problem) in [
        (
            "ALTER TABLE swarm_tasks DROP COLUMN wanted_role",
            "column swarm_tasks.wanted_role is missing",
        ),
        (
            "ALTER TABLE swarm_tasks DROP CONSTRAINT swarm_tasks_attempts",
            "constraint swarm_tasks.swarm_tasks_attempts is missing",
        ),
        (
            "DROP INDEX swarm_outbox_by_stream",
            "index swarm_outbox.swarm_outbox_by_stream is missing",
        ),
        (
            "ALTER TABLE swarm_agents ALTER COLUMN load TYPE bigint",
            "column swarm_agents.load is `bigint not null`, not `integer not null`",
        ),
        ("DROP TABLE swarm_replicas", "table swarm_replicas is missing"),
    ] {
        client.batch_execute(statement).await.unwrap();
        let problems = problems(&postgres).await;
        assert!(
            problems.iter().any(|found| found == problem),
            "{statement}: {problems:?}"
        );
    }
    assert_eq!(problems(&postgres).await.len(), 5);
}

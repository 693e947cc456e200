//! Tests of the vector memory, with pgvector and without.

mod adoption;
mod both;
mod check;
mod same;
mod storing;

use brain_config::{Config, Postgres as Settings};
use brain_connectivity::memory::{Hit, Mode, NewMemory, Query, VectorMemory};
use brain_connectivity::migrations::Migrations;
use brain_connectivity::postgres::Postgres;
use brain_devstack::PostgresServer;
use brain_testkit::TestDatabase;

async fn migrate(settings: Settings) -> Result<(), String> {
    let postgres = Postgres::open(&settings).map_err(|error| error.to_string())?;
    Migrations::embedded()
        .up(&postgres)
        .await
        .map_err(|error| error.to_string())?;
    postgres.close();
    Ok(())
}

/// A memory for embeddings of this size.
fn memory(postgres: &Postgres, dimensions: usize) -> VectorMemory {
    let mut settings = Config::defaults().memory;
    settings.enabled = true;
    settings.dimensions = dimensions;
    VectorMemory::open(postgres.clone(), &settings)
}

/// Where to reach a server of the test's own, as its superuser.
fn settings_of(server: &PostgresServer) -> Settings {
    let mut settings = Config::defaults().postgres;
    settings.host = "127.0.0.1".to_owned();
    settings.port = server.port();
    settings.database = "postgres".to_owned();
    settings.user = "postgres".to_owned();
    settings.password = "postgres".into();
    settings
}

/// The same empty tables on a server with pgvector and on one without.
struct Pair {
    with: Postgres,
    without: Postgres,
    _database: TestDatabase,
    _server: PostgresServer,
}

impl Pair {
    async fn start() -> Self {
        let database = TestDatabase::create(migrate).await;
        let with = Postgres::open(&database.config().postgres).unwrap();
        let server = brain_testkit::own_postgres(false).await;
        migrate(settings_of(&server)).await.unwrap();
        let without = Postgres::open(&settings_of(&server)).unwrap();
        assert_eq!(
            memory(&with, 1).mode().await.unwrap(),
            Mode::Pgvector,
            "the stack has pgvector"
        );
        assert_eq!(memory(&without, 1).mode().await.unwrap(), Mode::Exact);
        Self {
            with,
            without,
            _database: database,
            _server: server,
        }
    }

    fn memories(&self, dimensions: usize) -> [VectorMemory; 2] {
        [memory(&self.with, dimensions), memory(&self.without, dimensions)]
    }
}

fn remembered(id: &str, content: &str, embedding: Option<&[f32]>) -> NewMemory {
    NewMemory {
        memory_id: id.to_owned(),
        agent_id: "agent".to_owned(),
        run_id: "run".to_owned(),
        content: content.to_owned(),
        embedding: embedding.map(<[f32]>::to_vec),
        ..NewMemory::default()
    }
}

fn about(text: &str) -> Query {
    Query {
        text: Some(text.to_owned()),
        ..Query::new("default")
    }
}

fn near(embedding: &[f32]) -> Query {
    Query {
        embedding: Some(embedding.to_vec()),
        ..Query::new("default")
    }
}

fn ids(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.memory.memory_id.as_str()).collect()
}

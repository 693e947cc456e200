//! Vector memory: what agents remember, found again by words, by meaning, or both.
//!
//! pgvector does the searching where the database has it; without it the embeddings are compared here. Either way the
//! same query over the same memories gives the same results in the same order. Memories of one tenant are invisible
//! to all others.
//!
//! ```no_run
//! # async fn run(config: brain_config::Config) -> Result<(), Box<dyn std::error::Error>> {
//! use brain_connectivity::{memory::{NewMemory, Query, VectorMemory}, postgres::Postgres};
//!
//! let memory = VectorMemory::open(Postgres::open(&config.postgres)?, &config.memory);
//! memory.upsert("default", &[NewMemory {
//!     memory_id: "m-1".into(),
//!     agent_id: "planner".into(),
//!     run_id: "run-7".into(),
//!     content: "The staging database refuses connections at night.".into(),
//!     ..NewMemory::default()
//! }]).await?;
//! let hits = memory.search(&Query { text: Some("staging database".into()), ..Query::new("default") }).await?;
//! assert_eq!(hits[0].memory.memory_id, "m-1");
//! # Ok(())
//! # }
//! ```

mod adopt;
mod embedding;
mod entry;
mod error;
mod probe;
mod query;
mod ranking;
mod search;
mod state;

use std::collections::BTreeMap;

use brain_config as config;
use serde_json::Value;
use tokio_postgres::types::Type;

pub(crate) use self::adopt::adopt_pgvector;
pub use self::{
    entry::{MAX_BATCH, MAX_CONTENT_BYTES, MAX_ID_BYTES, MAX_METADATA_BYTES, Memory, NewMemory},
    error::Error,
    probe::VectorStoreProbe,
    query::{Hit, MAX_QUERY_BYTES, MAX_RESULTS, Query},
};
use crate::postgres::Postgres;

/// Who finds the nearest embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The database, with pgvector.
    Pgvector,
    /// This process, by comparing with each.
    Exact,
}

/// The memories of all tenants in one database. Clones share the pool.
#[derive(Clone, Debug)]
pub struct VectorMemory {
    postgres: Postgres,
    enabled: bool,
    dimensions: usize,
}

impl VectorMemory {
    /// Takes the settings over; nothing is connected yet.
    #[must_use]
    pub fn open(postgres: Postgres, settings: &config::Memory) -> Self {
        Self {
            postgres,
            enabled: settings.enabled,
            dimensions: settings.dimensions,
        }
    }

    /// Who finds the nearest embeddings at this moment; a migration can change it.
    ///
    /// # Errors
    /// [`Error::Disabled`], or what the database says.
    pub async fn mode(&self) -> Result<Mode, Error> {
        self.demand_enabled()?;
        let mut client = self.postgres.client().await?;
        let transaction = (**client).transaction().await?;
        search::mode(&transaction).await
    }

    /// Stores up to [`MAX_BATCH`] memories of `tenant`, all or none; where an id is given twice, the last one counts.
    /// Returns how many were stored.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Dimensions`] for a memory that cannot be stored, [`Error::Disabled`], or what the
    /// database says.
    pub async fn upsert(&self, tenant: &str, memories: &[NewMemory]) -> Result<u64, Error> {
        self.demand_enabled()?;
        entry::check_id("tenant", tenant)?;
        if memories.len() > MAX_BATCH {
            let reason = format!("it has {} memories, more than {MAX_BATCH}", memories.len());
            return Err(Error::invalid("the batch", reason));
        }
        let mut batch = BTreeMap::new();
        for memory in memories {
            batch.insert(memory.memory_id.as_str(), (memory, memory.check(self.dimensions)?));
        }
        if batch.is_empty() {
            return Ok(0);
        }

        let column = |of: fn(&NewMemory) -> &str| batch.values().map(|(memory, _)| of(memory)).collect::<Vec<_>>();
        let ids = column(|memory| &memory.memory_id);
        let agents = column(|memory| &memory.agent_id);
        let runs = column(|memory| &memory.run_id);
        let contents = column(|memory| &memory.content);
        let metadata: Vec<Value> = batch
            .values()
            .map(|(memory, _)| Value::Object(memory.metadata.clone()))
            .collect();
        let mut embeddings: Vec<f32> = Vec::new();
        let mut first: Vec<Option<i32>> = Vec::with_capacity(batch.len());
        for (_, embedding) in batch.values() {
            // PostgreSQL counts from one.
            first.push(embedding.as_ref().map(|_| embeddings.len() as i32 + 1));
            embeddings.extend(embedding.iter().flat_map(|embedding| embedding.values()));
        }
        let dimensions = self.dimensions as i32;
        let client = self.postgres.client().await?;
        let stored = client
            .execute_typed(
                include_str!("memory/sql/upsert_memories.sql"),
                &[
                    (&tenant, Type::TEXT),
                    (&ids, Type::TEXT_ARRAY),
                    (&agents, Type::TEXT_ARRAY),
                    (&runs, Type::TEXT_ARRAY),
                    (&contents, Type::TEXT_ARRAY),
                    (&metadata, Type::JSONB_ARRAY),
                    (&first, Type::INT4_ARRAY),
                    (&embeddings, Type::FLOAT4_ARRAY),
                    (&dimensions, Type::INT4),
                ],
            )
            .await?;
        Ok(stored)
    }

    /// The best results for `query`, the best first. Equal ones are ordered by memory id.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Dimensions`] for a query that cannot be answered, [`Error::Disabled`], or what the
    /// database says.
    pub async fn search(&self, query: &Query) -> Result<Vec<Hit>, Error> {
        self.demand_enabled()?;
        let wanted = query.check(self.dimensions)?;
        let mut client = self.postgres.client().await?;
        search::search(&mut client, query, &wanted).await
    }

    /// Forgets memories of `tenant`; ids that are not there do no harm. Returns how many were there.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`MAX_BATCH`] ids, [`Error::Disabled`], or what the database says.
    pub async fn delete(&self, tenant: &str, memory_ids: &[&str]) -> Result<u64, Error> {
        self.demand_enabled()?;
        if memory_ids.len() > MAX_BATCH {
            let reason = format!("it has {} ids, more than {MAX_BATCH}", memory_ids.len());
            return Err(Error::invalid("the batch", reason));
        }
        entry::check_id("tenant", tenant)?;
        memory_ids.iter().try_for_each(|id| entry::check_id("memory id", id))?;
        let client = self.postgres.client().await?;
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&tenant, Type::TEXT), (&memory_ids, Type::TEXT_ARRAY)];
        Ok(client
            .execute_typed(include_str!("memory/sql/delete_memories.sql"), &parameters)
            .await?)
    }

    fn demand_enabled(&self) -> Result<(), Error> {
        if self.enabled { Ok(()) } else { Err(Error::Disabled) }
    }
}

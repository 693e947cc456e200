//! Health of vector memory: whether it works, and whether pgvector does the searching.

use async_trait::async_trait;
use serde_json::json;
use tokio_postgres::types::Type;

use super::{Error, VectorMemory, state::State};
use crate::health::{Outcome, Probe};

/// The `vector_store` check.
#[derive(Clone, Debug)]
pub struct VectorStoreProbe {
    memory: VectorMemory,
}

impl VectorStoreProbe {
    /// Checks `memory`.
    #[must_use]
    pub fn new(memory: VectorMemory) -> Self {
        Self { memory }
    }

    async fn look(&self) -> Result<Outcome, Error> {
        let client = self.memory.postgres.client().await?;
        let state = State::read(&**client).await?;
        if !state.migrated {
            return Ok(Outcome::error("the memory table is missing; run `brain migrate up`"));
        }
        let dimensions = self.memory.dimensions as i32;
        let other_sizes: bool = client
            .query_typed_one(include_str!("sql/select_other_sizes.sql"), &[(&dimensions, Type::INT4)])
            .await?
            .try_get("other_sizes")?;
        let mut details = json!({ "dimensions": dimensions });
        if other_sizes {
            details["otherDimensions"] = json!(
                "there are memories with embeddings of another size, which only their text finds; embed them again"
            );
        }
        if state.adopted {
            details["mode"] = json!("pgvector");
            details["pgvector"] = json!(state.created);
            return Ok(Outcome::ok().with_details(details));
        }
        details["mode"] = json!("exact");
        details["reason"] = json!(state.reason());
        details["remedy"] = json!(state.remedy());
        let error = format!(
            "searches without pgvector, which is slower: {}; {}",
            state.reason(),
            state.remedy()
        );
        Ok(Outcome::degraded(error).with_details(details))
    }
}

#[async_trait]
impl Probe for VectorStoreProbe {
    fn name(&self) -> &'static str {
        "vector_store"
    }

    async fn probe(&self) -> Outcome {
        if !self.memory.enabled {
            return Outcome::disabled();
        }
        self.look()
            .await
            .unwrap_or_else(|error| Outcome::error(error.to_string()))
    }
}

//! Searching: candidates from the database, one exact ranking.
//!
//! All statements of a search see one snapshot. A ranking by meaning is the same with and without pgvector: its
//! distances, computed in single precision, only narrow down the candidates, by a margin that provably leaves none
//! of the best out; the similarity that ranks is always that of [`Embedding`].

use std::collections::HashMap;

use futures_util::TryStreamExt;
use serde_json::{Map, Value};
use tokio_postgres::{
    IsolationLevel, Row, RowStream, Transaction,
    types::{ToSql, Type},
};

use super::{
    Error, Hit, Memory, Mode, Query,
    embedding::Embedding,
    query::Wanted,
    ranking::{Best, Ranked, fuse},
};

/// How deep each ranking goes at least when two are made one: what is beyond hardly counts.
const FUSION_DEPTH: usize = 100;

/// Candidates beyond the limit that are asked of pgvector at first, to cover for near-ties.
const SLACK: usize = 64;

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Runs a checked query.
pub(super) async fn search(
    client: &mut tokio_postgres::Client,
    query: &Query,
    wanted: &Wanted,
) -> Result<Vec<Hit>, Error> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let search = Search {
        transaction: &transaction,
        query,
        filter: Filter::of(query),
    };
    let depth = query.limit.max(FUSION_DEPTH);
    let hits = match wanted {
        Wanted::Text(text) => {
            let by_text = search.by_text(text, query.limit).await?;
            search.hits(&by_text, &[], &by_text).await?
        }
        Wanted::Meaning(embedding) => {
            let by_meaning = search.by_meaning(embedding, query.limit).await?;
            search.hits(&by_meaning, &by_meaning, &[]).await?
        }
        Wanted::Both(text, embedding) => {
            let by_text = search.by_text(text, depth).await?;
            let by_meaning = search.by_meaning(embedding, depth).await?;
            search
                .hits(&fuse(&by_meaning, &by_text, query.limit), &by_meaning, &by_text)
                .await?
        }
    };
    transaction.commit().await?;
    Ok(hits)
}

/// Whether the embeddings are pgvector's at this moment.
pub(super) async fn mode(transaction: &Transaction<'_>) -> Result<Mode, Error> {
    let row = transaction
        .query_typed_one(include_str!("sql/select_mode.sql"), &[])
        .await?;
    Ok(if row.try_get("pgvector")? {
        Mode::Pgvector
    } else {
        Mode::Exact
    })
}

/// The parameters 1 to 4 of every statement that filters.
struct Filter<'a> {
    tenant: &'a str,
    agent: Option<&'a str>,
    run: Option<&'a str>,
    metadata: Option<Value>,
}

impl<'a> Filter<'a> {
    fn of(query: &'a Query) -> Self {
        Self {
            tenant: &query.tenant,
            agent: query.agent.as_deref(),
            run: query.run.as_deref(),
            // Everything contains the empty object; without the condition no index is looked up for it.
            metadata: (!query.metadata.is_empty()).then(|| Value::Object(query.metadata.clone())),
        }
    }

    fn and<'b>(&'b self, more: impl IntoIterator<Item = Parameter<'b>>) -> Vec<Parameter<'b>> {
        let mut parameters: Vec<Parameter<'b>> = vec![
            (&self.tenant, Type::TEXT),
            (&self.agent, Type::TEXT),
            (&self.run, Type::TEXT),
            (&self.metadata, Type::JSONB),
        ];
        parameters.extend(more);
        parameters
    }
}

struct Search<'a> {
    transaction: &'a Transaction<'a>,
    query: &'a Query,
    filter: Filter<'a>,
}

impl Search<'_> {
    async fn by_text(&self, text: &str, limit: usize) -> Result<Vec<Ranked>, Error> {
        let limit = limit as i64;
        let parameters = self.filter.and([(&text as _, Type::TEXT), (&limit as _, Type::INT8)]);
        let rows = self
            .transaction
            .query_typed(include_str!("sql/select_by_text.sql"), &parameters)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Ranked {
                    id: row.try_get("memory_id")?,
                    score: row.try_get("rank")?,
                })
            })
            .collect()
    }

    async fn by_meaning(&self, wanted: &Embedding, limit: usize) -> Result<Vec<Ranked>, Error> {
        match mode(self.transaction).await? {
            Mode::Exact => self.best_of_all(wanted, limit).await,
            Mode::Pgvector => match self.best_of_nearest(wanted, limit).await? {
                Some(ranking) => Ok(ranking),
                None => self.best_of_near(wanted, limit).await,
            },
        }
    }

    /// Compares with every embedding, one row at a time.
    async fn best_of_all(&self, wanted: &Embedding, limit: usize) -> Result<Vec<Ranked>, Error> {
        let dimensions = wanted.values().len() as i32;
        let parameters = self.filter.and([(&dimensions as _, Type::INT4)]);
        let rows = self
            .stream(include_str!("sql/select_all_embeddings.sql"), parameters)
            .await?;
        rank(rows, wanted, limit).await
    }

    /// Compares with the nearest by pgvector's arithmetic. `None` when they may not hold all of the best.
    async fn best_of_nearest(&self, wanted: &Embedding, limit: usize) -> Result<Option<Vec<Ranked>>, Error> {
        let (values, dimensions) = (wanted.values(), wanted.values().len() as i32);
        let fetched = limit + SLACK;
        let asked = fetched as i64;
        let parameters = self.filter.and([
            (&dimensions as _, Type::INT4),
            (&values as _, Type::FLOAT4_ARRAY),
            (&asked as _, Type::INT8),
        ]);
        let rows = self
            .transaction
            .query_typed(include_str!("sql/select_nearest_embeddings.sql"), &parameters)
            .await?;
        let distance = |row: &Row| row.try_get::<_, Option<f64>>("distance");
        if let (true, Some(last)) = (rows.len() == fetched, rows.last()) {
            // An undefined distance sorts after all others: whatever was not fetched is undefined, too.
            if let (Some(kth), Some(last)) = (distance(&rows[limit - 1])?, distance(last)?)
                && last <= kth + margin(wanted)
            {
                return Ok(None);
            }
        }
        let mut best = Best::new(limit);
        for row in &rows {
            offer(row, wanted, &mut best)?;
        }
        Ok(Some(best.into_ranking()))
    }

    /// Compares with everything that pgvector's arithmetic cannot tell from the best, one row at a time.
    async fn best_of_near(&self, wanted: &Embedding, limit: usize) -> Result<Vec<Ranked>, Error> {
        let (values, dimensions) = (wanted.values(), wanted.values().len() as i32);
        let (nearest, margin) = (limit as i64, margin(wanted));
        let parameters = self.filter.and([
            (&dimensions as _, Type::INT4),
            (&values as _, Type::FLOAT4_ARRAY),
            (&nearest as _, Type::INT8),
            (&margin as _, Type::FLOAT8),
        ]);
        let rows = self
            .stream(include_str!("sql/select_near_embeddings.sql"), parameters)
            .await?;
        rank(rows, wanted, limit).await
    }

    async fn stream(&self, statement: &str, parameters: Vec<Parameter<'_>>) -> Result<RowStream, Error> {
        Ok(self.transaction.query_typed_raw(statement, parameters).await?)
    }

    /// The memories of a ranking, with what the two rankings by themselves say about them.
    async fn hits(&self, ranking: &[Ranked], by_meaning: &[Ranked], by_text: &[Ranked]) -> Result<Vec<Hit>, Error> {
        let ids: Vec<&str> = ranking.iter().map(|ranked| ranked.id.as_str()).collect();
        let parameters: [Parameter<'_>; 2] = [(&self.query.tenant, Type::TEXT), (&ids, Type::TEXT_ARRAY)];
        let rows = self
            .transaction
            .query_typed(include_str!("sql/select_memories.sql"), &parameters)
            .await?;
        let mut memories = HashMap::with_capacity(rows.len());
        for row in &rows {
            let memory = read(row)?;
            memories.insert(memory.memory_id.clone(), memory);
        }
        let scores = |ranking: &[Ranked]| -> HashMap<String, f64> {
            ranking.iter().map(|ranked| (ranked.id.clone(), ranked.score)).collect()
        };
        let (similarities, text_ranks) = (scores(by_meaning), scores(by_text));
        let hit = |ranked: &Ranked| {
            Some(Hit {
                memory: memories.remove(&ranked.id)?,
                score: ranked.score,
                similarity: similarities.get(&ranked.id).copied(),
                text_rank: text_ranks.get(&ranked.id).copied(),
            })
        };
        Ok(ranking.iter().filter_map(hit).collect())
    }
}

/// How much further away than another one something must be by pgvector's arithmetic to be certainly further: both
/// distances may be off.
fn margin(wanted: &Embedding) -> f64 {
    2.0 * Embedding::pgvector_error(wanted.values().len())
}

async fn rank(rows: RowStream, wanted: &Embedding, limit: usize) -> Result<Vec<Ranked>, Error> {
    let mut rows = std::pin::pin!(rows);
    let mut best = Best::new(limit);
    while let Some(row) = rows.try_next().await? {
        offer(&row, wanted, &mut best)?;
        // Rows that are there already would never let another task have its turn.
        tokio::task::coop::consume_budget().await;
    }
    Ok(best.into_ranking())
}

fn offer(row: &Row, wanted: &Embedding, best: &mut Best) -> Result<(), Error> {
    let values: Vec<f32> = row.try_get("embedding")?;
    if let Some(similarity) = wanted.similarity(&values) {
        best.offer(similarity, row.try_get("memory_id")?);
    }
    Ok(())
}

fn read(row: &Row) -> Result<Memory, Error> {
    let metadata: Value = row.try_get("metadata")?;
    Ok(Memory {
        memory_id: row.try_get("memory_id")?,
        agent_id: row.try_get("agent_id")?,
        run_id: row.try_get("run_id")?,
        content: row.try_get("content")?,
        metadata: match metadata {
            Value::Object(metadata) => metadata,
            _ => Map::new(),
        },
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

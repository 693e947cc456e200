//! What is looked for: text, meaning or both, among the memories that pass the filters.

use serde_json::{Map, Value};

use super::{
    Error, Memory,
    embedding::Embedding,
    entry::{check_id, check_metadata},
};

/// Results of one search at most.
pub const MAX_RESULTS: usize = 500;
/// Longest text to look for, in bytes.
pub const MAX_QUERY_BYTES: usize = 8 * 1024;

/// A search within one tenant. It needs a text or an embedding; with both, what is near in both ways comes first.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Whose memories are searched.
    pub tenant: String,
    /// Words to look for; each found word counts, none is required.
    pub text: Option<String>,
    /// Meaning to look for, as many numbers as configured.
    pub embedding: Option<Vec<f32>>,
    /// Only memories of this agent.
    pub agent: Option<String>,
    /// Only memories of this run.
    pub run: Option<String>,
    /// Only memories whose metadata contain these, as PostgreSQL's `@>` understands it.
    pub metadata: Map<String, Value>,
    /// Results at most, 1 to [`MAX_RESULTS`].
    pub limit: usize,
}

impl Query {
    /// A query for nothing yet, with a limit of 10.
    #[must_use]
    pub fn new(tenant: impl Into<String>) -> Self {
        Self {
            tenant: tenant.into(),
            text: None,
            embedding: None,
            agent: None,
            run: None,
            metadata: Map::new(),
            limit: 10,
        }
    }

    /// Checks everything about the query.
    pub(super) fn check(&self, dimensions: usize) -> Result<Wanted, Error> {
        let subject = || "the query".to_owned();
        check_id("tenant", &self.tenant)?;
        self.agent.iter().try_for_each(|agent| check_id("agent id", agent))?;
        self.run.iter().try_for_each(|run| check_id("run id", run))?;
        check_metadata(&self.metadata, subject)?;
        if !(1..=MAX_RESULTS).contains(&self.limit) {
            let reason = format!("its limit is {}, outside 1 to {MAX_RESULTS}", self.limit);
            return Err(Error::invalid(subject(), reason));
        }
        if self
            .text
            .as_ref()
            .is_some_and(|text| text.len() > MAX_QUERY_BYTES || text.contains('\0'))
        {
            let reason = format!("its text is longer than {MAX_QUERY_BYTES} bytes or holds a NUL character");
            return Err(Error::invalid(subject(), reason));
        }
        let embedding = self.embedding.clone();
        let embedding = embedding
            .map(|values| Embedding::new(values, dimensions, subject))
            .transpose()?;
        match (self.text.clone(), embedding) {
            (Some(text), None) => Ok(Wanted::Text(text)),
            (None, Some(embedding)) => Ok(Wanted::Meaning(embedding)),
            (Some(text), Some(embedding)) => Ok(Wanted::Both(text, embedding)),
            (None, None) => Err(Error::invalid(subject(), "it has neither a text nor an embedding")),
        }
    }
}

/// What a checked query looks for.
pub(super) enum Wanted {
    Text(String),
    Meaning(Embedding),
    Both(String, Embedding),
}

/// A memory that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The memory.
    pub memory: Memory,
    /// What the hits are ordered by, the highest first: the similarity, the text rank, or with both the sum of
    /// `1 / (60 + place)` over the two rankings. Comparable within one search only.
    pub score: f64,
    /// The cosine of the angle to the query's embedding, -1 to 1, where the ranking by meaning has it.
    pub similarity: Option<f64>,
    /// The full-text rank, above 0, where the ranking by text has it.
    pub text_rank: Option<f64>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn a_query_that_cannot_be_answered_is_refused_with_a_reason() {
        let query = || Query {
            text: Some("word".into()),
            ..Query::new("default")
        };
        assert!(query().check(3).is_ok());
        let refused = |query: Query| query.check(3).err().unwrap().to_string();
        insta::assert_snapshot!(refused(Query::new("default")), @"the query is not valid: it has neither a text nor an embedding");
        insta::assert_snapshot!(refused(Query { limit: 0, ..query() }), @"the query is not valid: its limit is 0, outside 1 to 500");
        insta::assert_snapshot!(refused(Query { embedding: Some(vec![0.0; 3]), ..query() }), @"the embedding of the query is not valid: all its numbers are zero, so it points nowhere");
        insta::assert_snapshot!(refused(Query { tenant: String::new(), ..query() }), @r#"tenant "" is not valid: it is empty"#);
        insta::assert_snapshot!(refused(Query { text: Some("\0".into()), ..query() }), @"the query is not valid: its text is longer than 8192 bytes or holds a NUL character");
    }
}

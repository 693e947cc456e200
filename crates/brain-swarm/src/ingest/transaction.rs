//! A transaction whose statements are pipelined, on a connection that never goes back to the pool half-way through one.

use std::borrow::Cow;

use brain_connectivity::postgres::{self, Postgres};
use deadpool_postgres::Object;
use futures_util::future::try_join_all;
use tokio_postgres::{Row, Statement, types::ToSql};

/// No sequential scans: a plan that was made and kept while a table was small must not read it whole when it is large. And plans are
/// kept: making one for the arrays at hand costs more than most of these statements take.
const BEGIN: &str = "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

pub(super) type Parameters<'a> = Vec<&'a (dyn ToSql + Sync)>;

pub(super) struct Transaction {
    connection: Option<Object>,
}

impl Transaction {
    pub(super) async fn begin(postgres: &Postgres) -> Result<Self, postgres::Error> {
        let connection = postgres.client().await?;
        Ok(Self {
            connection: Some(connection),
        })
    }

    fn connection(&self) -> Result<&Object, postgres::Error> {
        self.connection.as_ref().ok_or_else(|| postgres::Error::Unexpected {
            reason: "the transaction has ended".to_owned(),
        })
    }

    async fn prepare(&self, sql: &str) -> Result<Statement, postgres::Error> {
        Ok(self.connection()?.prepare_cached(sql).await?)
    }

    /// Sends all statements at once and waits for all answers: one round trip. `open` begins the transaction before them,
    /// `commit` ends it after them.
    pub(super) async fn pipeline(
        &self,
        statements: &[(Cow<'_, str>, Parameters<'_>)],
        step: Step,
    ) -> Result<Vec<Vec<Row>>, postgres::Error> {
        let connection = self.connection()?;
        let mut prepared = Vec::with_capacity(statements.len());
        for (sql, _) in statements {
            prepared.push(self.prepare(sql).await?);
        }
        let control = async |wanted: Step, sql: &'static str| -> Result<(), postgres::Error> {
            if step == wanted {
                connection.batch_execute(sql).await?;
            }
            Ok(())
        };
        let queries = try_join_all(
            prepared
                .iter()
                .zip(statements)
                .map(async |(statement, (_, parameters))| {
                    connection
                        .query(statement, parameters)
                        .await
                        .map_err(postgres::Error::from)
                }),
        );
        let ((), rows, ()) =
            futures_util::future::try_join3(control(Step::Open, BEGIN), queries, control(Step::Commit, "COMMIT"))
                .await?;
        Ok(rows)
    }

    /// The commit was acknowledged: the connection may go back to the pool.
    pub(super) fn finished(&mut self) {
        drop(self.connection.take());
    }

    /// Undoes everything; a connection that cannot even do that is thrown away.
    pub(super) async fn roll_back(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let guard = Self {
            connection: Some(connection),
        };
        if let Some(connection) = &guard.connection
            && connection.batch_execute("ROLLBACK").await.is_ok()
        {
            let mut guard = guard;
            guard.finished();
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Dropped in the middle: whether the transaction is open is not known, so nobody else may use the connection.
            drop(Object::take(connection));
        }
    }
}

/// What a pipeline does besides its statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Begin first.
    Open,
    /// Neither.
    Inside,
    /// Commit last.
    Commit,
}

//! The keys in the database.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;

use super::{Claim, LIFE};
use crate::access::Principal;

/// A request that carries a key.
#[derive(Debug, Clone)]
pub(super) struct Keyed {
    pub(super) tenant_id: String,
    pub(super) principal_id: String,
    pub(super) key: String,
    pub(super) digest: [u8; 32],
}

/// An answer that was given before.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) digest: Vec<u8>,
    /// Status, media type and body; none while it is not known.
    pub(super) answer: Option<(i32, Option<String>, Vec<u8>)>,
}

impl Keyed {
    pub(super) fn new(by: &Principal, key: &str, digest: [u8; 32]) -> Self {
        Self {
            tenant_id: by.tenant_id.to_string(),
            principal_id: by.id.to_string(),
            key: key.to_owned(),
            digest,
        }
    }

    /// Takes the key, unless somebody has it. `abandoned_after`: when nobody can be working on a request any more.
    pub(super) async fn begin(
        &self,
        postgres: &Postgres,
        abandoned_after: std::time::Duration,
    ) -> Result<Option<Claim>, postgres::Error> {
        let millis = |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let client = postgres.client().await?;
        let statement = client.prepare_cached(include_str!("sql/begin_request.sql")).await?;
        let row = client
            .query_opt(
                &statement,
                &[
                    &self.tenant_id,
                    &self.principal_id,
                    &self.key,
                    &self.digest.as_slice(),
                    &millis(abandoned_after),
                    &millis(LIFE),
                ],
            )
            .await?;
        Ok(row.map(|row| Claim {
            keyed: self.clone(),
            started_at: row.get(0),
        }))
    }

    pub(super) async fn kept(&self, postgres: &Postgres) -> Result<Option<Kept>, postgres::Error> {
        let client = postgres.client().await?;
        let statement = client.prepare_cached(include_str!("sql/select_answer.sql")).await?;
        let row = client
            .query_opt(&statement, &[&self.tenant_id, &self.principal_id, &self.key])
            .await?;
        Ok(row.map(|row| Kept {
            digest: row.get(0),
            answer: row.get::<_, Option<i32>>(1).map(|status| {
                let body: Option<Vec<u8>> = row.get(3);
                (status, row.get(2), body.unwrap_or_default())
            }),
        }))
    }
}

impl Claim {
    pub(super) async fn keep(
        &self,
        postgres: &Postgres,
        status: u16,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<(), postgres::Error> {
        let client = postgres.client().await?;
        let statement = client.prepare_cached(include_str!("sql/keep_answer.sql")).await?;
        let (keyed, at): (&Keyed, &Timestamp) = (&self.keyed, &self.started_at);
        client
            .execute(
                &statement,
                &[
                    &keyed.tenant_id,
                    &keyed.principal_id,
                    &keyed.key,
                    at,
                    &i32::from(status),
                    &content_type,
                    &body,
                ],
            )
            .await?;
        Ok(())
    }

    pub(super) async fn forget(&self, postgres: &Postgres) -> Result<(), postgres::Error> {
        let client = postgres.client().await?;
        let statement = client.prepare_cached(include_str!("sql/forget_request.sql")).await?;
        let keyed = &self.keyed;
        client
            .execute(
                &statement,
                &[&keyed.tenant_id, &keyed.principal_id, &keyed.key, &self.started_at],
            )
            .await?;
        Ok(())
    }
}

/// Removes some of the keys that nobody may use any more.
pub(super) async fn sweep(postgres: &Postgres) -> Result<(), postgres::Error> {
    let life = i64::try_from(LIFE.as_millis()).unwrap_or(i64::MAX);
    let client = postgres.client().await?;
    client
        .execute(include_str!("sql/delete_old_keys.sql"), &[&life])
        .await?;
    Ok(())
}

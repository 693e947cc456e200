//! An export: a chain, or a part of it, as lines of JSON that anybody can verify without this program or its database.
//!
//! The first line is the [`Manifest`], then one line for each record in its canonical form, at last the [`Seal`] over all bytes
//! before it. docs/AUDIT.md has the format for whoever writes a verifier.
//!
//! Invariants: all lines are of one snapshot; what is held in memory does not grow with the chain; an export that does not end
//! with its seal is not whole.

use brain_connectivity::postgres::Postgres;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, Row};

use super::{
    document::{CHECKPOINT, Checkpoint, EXPORT, Manifest, SEAL, Seal},
    error::Error,
    keys, read,
    record::{Unwritable, written},
    signing::{KeyId, Signature, Signer},
};
use crate::{
    digest::{self, Digest},
    ids::TenantId,
};

/// The checkpoints of an export: the newest ones. Each covers all records before it.
pub const MAX_CHECKPOINTS: i64 = 100;
/// Records that are read at once.
const ROWS: i64 = 250;
/// After this time without a reader the database ends the snapshot, which would keep it from cleaning up.
const PATIENCE: &str = "60s";

/// Which records to export.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// From this number; from the first where there is none.
    pub from: Option<i64>,
    /// Up to this number; all where there is none.
    pub to: Option<i64>,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There are no such records.
    #[error("there are no records from {from} on: the trail ends with {last}")]
    Beyond {
        /// What was asked for.
        from: i64,
        /// The last one.
        last: i64,
    },
    /// The range is none.
    #[error("from {from} to {to} is no range of records, which are numbered from 1")]
    Range {
        /// What was asked for.
        from: i64,
        /// Up to where.
        to: i64,
    },
    /// The trail cannot be read.
    #[error(transparent)]
    Audit(#[from] Error),
}

impl From<tokio_postgres::Error> for ExportError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Audit(error.into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Manifest,
    /// What follows this record.
    Rows(i64),
    Over,
}

/// An export that is under way. Whoever drops it ends its snapshot.
pub struct Export {
    client: Client,
    manifest: Manifest,
    signer: Option<Signer>,
    payload: Sha256,
    next: Next,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export")
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

impl Export {
    /// Takes the snapshot, on a connection of its own.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn begin(
        postgres: &Postgres,
        signer: Option<&Signer>,
        selection: &Selection,
    ) -> Result<Self, ExportError> {
        let mut signs = None;
        if let Some(signer) = signer {
            if keys::admit(postgres, signer).await? {
                signs = Some(signer.clone());
            } else {
                tracing::error!(key.id = %signer.public().id(), "an audit export is not signed: the signing key follows no known one");
            }
        }
        // It may take its time, which is not for the pool to wait for.
        let (client, _driver) = postgres.dedicated().await.map_err(Error::from)?;
        let begin = format!(
            "SET idle_in_transaction_session_timeout = '{PATIENCE}'; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        );
        client.batch_execute(&begin).await?;
        let manifest = manifest(&client, selection).await?;
        Ok(Self {
            client,
            manifest,
            signer: signs,
            payload: Sha256::new(),
            next: Next::Manifest,
        })
    }

    /// What its first line says.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The next lines; none once it is whole.
    ///
    /// # Errors
    /// [`Error`]: what was given so far is not an export then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let mut lines = Vec::new();
        match self.next {
            Next::Over => return Ok(None),
            Next::Manifest => {
                line(&mut lines, &self.manifest)?;
                self.next = Next::Rows(self.manifest.first_seq - 1);
            }
            Next::Rows(after) => {
                let (tenant, to) = (&self.manifest.tenant_id, self.manifest.last_seq);
                let rows = read::following(&self.client, tenant, (after, to), ROWS).await?;
                for row in &rows {
                    line(&mut lines, &read::read(row, tenant)?)?;
                }
                match rows.last().map(|row| row.get("seq")) {
                    // A row that is missing shows when the export is verified.
                    Some(last) if last < to => self.next = Next::Rows(last),
                    _ => {
                        self.payload.update(&lines);
                        line(&mut lines, &self.seal()?)?;
                        self.next = Next::Over;
                        self.client.batch_execute("COMMIT").await?;
                        return Ok(Some(lines.into()));
                    }
                }
            }
        }
        self.payload.update(&lines);
        Ok(Some(lines.into()))
    }

    fn seal(&self) -> Result<Seal, Unwritable> {
        let payload: [u8; 32] = self.payload.clone().finalize().into();
        let mut seal = Seal {
            r#type: SEAL.to_owned(),
            payload_hash: payload.into(),
            key_id: self.signer.as_ref().map(|signer| signer.public().id()),
            signature: None,
        };
        seal.signature = self.signer.as_ref().map(|signer| signer.sign(&seal)).transpose()?;
        Ok(seal)
    }
}

fn line(lines: &mut Vec<u8>, value: &impl Serialize) -> Result<(), Unwritable> {
    lines.extend(digest::canonical(value)?);
    lines.push(b'\n');
    Ok(())
}

async fn manifest(client: &Client, selection: &Selection) -> Result<Manifest, ExportError> {
    let tenant = &selection.tenant_id;
    let broken = || Error::Broken(tenant.clone());
    let head = client
        .query_opt(include_str!("../sql/select_audit_head.sql"), &[&tenant.as_str()])
        .await?;
    let (end, end_hash) = match &head {
        Some(head) => (head.get("seq"), hash(head).ok_or_else(broken)?),
        None => (0, Digest::NONE),
    };
    let (from, to) = (selection.from.unwrap_or(1), selection.to.unwrap_or(i64::MAX));
    if from < 1 || to < from {
        return Err(ExportError::Range { from, to });
    }
    if selection.from.is_some() && from > end {
        return Err(ExportError::Beyond { from, last: end });
    }
    let last = to.min(end);
    let ends = client
        .query(
            include_str!("../sql/select_audit_ends.sql"),
            &[&tenant.as_str(), &[from - 1, from, last].as_slice()],
        )
        .await?;
    let row = |seq: i64| ends.iter().find(|row| row.get::<_, i64>("seq") == seq);
    let at = |seq: i64| row(seq).map(|row| written(row.get::<_, Timestamp>("at")));
    let prev_hash = match from {
        1 => Digest::NONE,
        _ => row(from - 1).and_then(hash).ok_or_else(broken)?,
    };
    let last_hash = match last {
        last if last == end => end_hash,
        last => row(last).and_then(hash).ok_or_else(broken)?,
    };
    let rows = client
        .query(
            include_str!("../sql/select_audit_checkpoints.sql"),
            &[&tenant.as_str(), &from, &last, &MAX_CHECKPOINTS],
        )
        .await?;
    let now: Timestamp = client.query_one("SELECT now()", &[]).await?.get(0);
    Ok(Manifest {
        r#type: EXPORT.to_owned(),
        tenant_id: tenant.clone(),
        exported_at: written(now),
        row_count: last - from + 1,
        first_seq: from,
        last_seq: last,
        first_at: at(from),
        last_at: at(last),
        prev_hash,
        last_hash,
        keys: keys::all(client).await?,
        checkpoints: rows.iter().filter_map(|row| checkpoint(row, tenant)).collect(),
    })
}

/// The checkpoint of a row; none, where it holds what no checkpoint does, such as a time beyond all years.
pub(super) fn checkpoint(row: &Row, tenant: &TenantId) -> Option<Checkpoint> {
    Some(Checkpoint {
        r#type: CHECKPOINT.to_owned(),
        tenant_id: tenant.clone(),
        seq: row.get("seq"),
        hash: hash(row)?,
        at: written(row.try_get("at").ok()?),
        key_id: KeyId::stored(row.get("key_id")),
        signature: Signature::try_from(row.get::<_, &[u8]>("signature")).ok()?,
    })
}

fn hash(row: &Row) -> Option<Digest> {
    Digest::try_from(row.get::<_, &[u8]>("hash")).ok()
}

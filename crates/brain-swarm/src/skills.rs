//! Which skills each tenant installed: what the brain's replicas agree on, whatever each of them has on its disk.
//!
//! Invariants: the digest of a version never changes, also after the skill was removed; every change is recorded in the audit trail
//! in its own transaction, and so is every refusal.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;

use crate::{
    audit::{self, Actor, ApprovalState, Entry, Metadata},
    digest::Digest,
    ids::TenantId,
};

/// What the record of an installation says was done.
pub const INSTALLED: &str = "skill.install";
/// What the record of one that was refused says.
pub const REFUSED: &str = "skill.install.refused";
/// What the record of a removal says.
pub const REMOVED: &str = "skill.remove";

/// What is to be installed.
#[derive(Debug, Clone)]
pub struct NewSkill {
    /// Its name.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// The digest of its whole tree.
    pub digest: Digest,
    /// Who signed it.
    pub publisher: Option<String>,
    /// What it says it does.
    pub description: String,
    /// What it may do: an object.
    pub granted: Value,
}

/// An installed skill.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "InstalledSkill")]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// The digest of its whole tree: names, modes and bytes.
    pub digest: Digest,
    /// Who signed it; `null`, where it came from a directory without signatures.
    pub publisher: Option<String>,
    /// What it says it does.
    pub description: String,
    /// What it may do: hosts, commands, variables, limits.
    pub granted: Value,
    /// Who installed it.
    pub installed_by: String,
    /// When.
    pub installed_at: Timestamp,
}

impl Installed {
    /// The reference, `name@version`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    fn of(row: &Row) -> Self {
        Self {
            name: row.get("name"),
            version: row.get("version"),
            // The table holds no digest of another length.
            digest: Digest::try_from(row.get::<_, &[u8]>("digest")).unwrap_or(Digest::NONE),
            publisher: row.get("publisher"),
            description: row.get("description"),
            granted: row.get("granted"),
            installed_by: row.get("installed_by"),
            installed_at: row.get("installed_at"),
        }
    }
}

/// Why an installation could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The version was installed before, with other bytes.
    #[error("{reference} was installed before as another tree, {before}: a version never changes its bytes")]
    OtherBytes {
        /// Which.
        reference: String,
        /// What it was then.
        before: Digest,
    },
    /// It could not be recorded, so it was not done.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The database said no, or nothing.
    #[error(transparent)]
    Database(#[from] postgres::Error),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Says that a tenant installed a skill, on behalf of a principal.
///
/// # Errors
/// [`Error`]: nothing is recorded then.
pub async fn install(
    postgres: &Postgres,
    tenant: &TenantId,
    new: NewSkill,
    principal: &str,
) -> Result<Installed, Error> {
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    let row = transaction
        .query_opt(
            include_str!("sql/install_skill.sql"),
            &[
                &tenant.as_str(),
                &new.name,
                &new.version,
                &new.digest.bytes().as_slice(),
                &new.publisher,
                &new.description,
                &new.granted,
                &principal,
            ],
        )
        .await?;
    let reference = format!("{}@{}", new.name, new.version);
    let Some(row) = row else {
        let before = "SELECT digest FROM brain_skills WHERE tenant_id = $1 AND name = $2 AND version = $3";
        let row = transaction
            .query_one(before, &[&tenant.as_str(), &new.name, &new.version])
            .await?;
        let before = Digest::try_from(row.get::<_, &[u8]>(0)).unwrap_or(Digest::NONE);
        return Err(Error::OtherBytes { reference, before });
    };
    let entry = Entry {
        output_hash: Some(new.digest),
        metadata: Metadata::default().maybe("publisher", new.publisher.as_deref()),
        ..Entry::new(Actor::principal(principal), INSTALLED, reference)
    };
    audit::append(&transaction, tenant, entry).await?;
    transaction.commit().await?;
    Ok(Installed {
        name: new.name,
        version: new.version,
        digest: new.digest,
        publisher: new.publisher,
        description: new.description,
        granted: new.granted,
        installed_by: principal.to_owned(),
        installed_at: row.get(0),
    })
}

/// Records that an installation was refused: at which stage, and why.
///
/// # Errors
/// [`audit::Error`] when it could not be recorded.
pub async fn refused(
    postgres: &Postgres,
    tenant: &TenantId,
    principal: &str,
    (reference, stage, reason): (&str, &str, &str),
) -> Result<(), audit::Error> {
    let entry = Entry {
        approval_state: ApprovalState::Denied,
        metadata: Metadata::default().with("stage", stage).with("reason", reason),
        ..Entry::new(Actor::principal(principal), REFUSED, reference)
    };
    audit::append_after(postgres, tenant, entry).await.map(drop)
}

/// Removes a skill of a tenant; `false` where it has none of that name and version. Its digest is kept.
///
/// # Errors
/// [`Error`]: nothing is removed then.
pub async fn remove(
    postgres: &Postgres,
    tenant: &TenantId,
    (name, version): (&str, &str),
    principal: &str,
) -> Result<bool, Error> {
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    let update = "UPDATE brain_skills SET removed_by = $4, removed_at = clock_timestamp() \
                  WHERE tenant_id = $1 AND name = $2 AND version = $3 AND removed_at IS NULL";
    let removed = transaction
        .execute(update, &[&tenant.as_str(), &name, &version, &principal])
        .await?;
    if removed == 0 {
        return Ok(false);
    }
    let entry = Entry::new(Actor::principal(principal), REMOVED, format!("{name}@{version}"));
    audit::append(&transaction, tenant, entry).await?;
    transaction.commit().await?;
    Ok(true)
}

/// A skill that a tenant has installed.
///
/// # Errors
/// When the database does not answer.
pub async fn get(
    postgres: &Postgres,
    tenant: &TenantId,
    (name, version): (&str, &str),
) -> Result<Option<Installed>, postgres::Error> {
    let client = postgres.client().await?;
    let select = "SELECT name, version, digest, publisher, description, granted, installed_by, installed_at \
                  FROM brain_skills WHERE tenant_id = $1 AND name = $2 AND version = $3 AND removed_at IS NULL";
    let row = client.query_opt(select, &[&tenant.as_str(), &name, &version]).await?;
    Ok(row.as_ref().map(Installed::of))
}

/// Skills of a tenant by name and version, after this one, at most so many.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    postgres: &Postgres,
    tenant: &TenantId,
    (name, version): (&str, &str),
    limit: i64,
) -> Result<Vec<Installed>, postgres::Error> {
    let client = postgres.client().await?;
    let rows = client
        .query(
            include_str!("sql/select_skills.sql"),
            &[&tenant.as_str(), &name, &version, &limit],
        )
        .await?;
    Ok(rows.iter().map(Installed::of).collect())
}

/// The digests that any tenant has installed: what no sweep of a disk may take away.
///
/// # Errors
/// When the database does not answer.
pub async fn digests_in_use(postgres: &Postgres) -> Result<Vec<Digest>, postgres::Error> {
    let client = postgres.client().await?;
    let select = "SELECT DISTINCT digest FROM brain_skills WHERE removed_at IS NULL";
    let rows = client.query(select, &[]).await?;
    let digests = rows.iter().map(|row| Digest::try_from(row.get::<_, &[u8]>(0)));
    Ok(digests.filter_map(Result::ok).collect())
}

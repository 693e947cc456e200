//! Records of migrations, which come before there is a table to record them in.
//!
//! Invariant: each applied migration has one record, whoever applied it and wherever that process ended.

use brain_connectivity::postgres::Postgres;
use jiff::Timestamp;

use super::{
    Error, append,
    record::{Actor, Entry, Metadata},
};
use crate::ids::TenantId;

/// What every one of these records says was done.
const ACTION: &str = "migration.apply";

/// Records the migrations that are applied and not recorded yet, in the trail of tenant `default`; gives how many those were.
///
/// # Errors
/// [`Error`]: none is recorded then, and the next call does it.
pub async fn record_migrations(postgres: &Postgres) -> Result<usize, Error> {
    let tenant = TenantId::single();
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    // Whoever else is at it has recorded them once this is held.
    transaction
        .query_one(include_str!("../sql/lock_audit_head.sql"), &[&tenant.as_str()])
        .await?;
    let rows = transaction
        .query(
            include_str!("../sql/select_unrecorded_migrations.sql"),
            &[&tenant.as_str()],
        )
        .await?;
    for row in &rows {
        let entry = Entry {
            metadata: Metadata::default()
                .with("checksum", row.get::<_, &str>("checksum"))
                .with("appliedAt", row.get::<_, Timestamp>("applied_at")),
            ..Entry::new(Actor::system("migrations"), ACTION, row.get::<_, &str>("file_name"))
        };
        append(&transaction, &tenant, entry).await?;
    }
    transaction.commit().await?;
    Ok(rows.len())
}

//! Writing records at the end of a chain.

use jiff::Timestamp;
use tokio_postgres::{GenericClient, Transaction};

use super::{
    Error,
    record::{Entry, Record},
};
use crate::{digest::Digest, ids::TenantId};

/// Records what this transaction does. From here to its end nobody else of the tenant records anything, so this comes last.
///
/// # Errors
/// [`Error`]: the transaction must not be committed then.
pub async fn append(transaction: &Transaction<'_>, tenant: &TenantId, entry: Entry) -> Result<Record, Error> {
    let row = transaction
        .query_one(include_str!("../sql/lock_audit_head.sql"), &[&tenant.as_str()])
        .await?;
    let (seq, at): (i64, Timestamp) = (row.get("seq"), row.get("at"));
    let before = Digest::try_from(row.get::<_, &[u8]>("hash")).map_err(|_| Error::Broken(tenant.clone()))?;
    let record = Record::following((tenant, seq + 1, before), at, entry)?;
    insert(transaction, &record, at).await?;
    Ok(record)
}

async fn insert(client: &impl GenericClient, record: &Record, at: Timestamp) -> Result<(), Error> {
    client
        .execute(
            include_str!("../sql/insert_audit_record.sql"),
            &[
                &record.id,
                &at,
                &record.actor_type.as_str(),
                &record.actor_id,
                &record.action,
                &record.rationale,
                &record.target,
                &record.approval_state.as_str(),
                &record.input_hash.map(|hash| hash.to_string()),
                &record.output_hash.map(|hash| hash.to_string()),
                &record.metadata,
                &record.tenant_id.as_str(),
                &record.seq,
                &record.prev_hash.bytes().as_slice(),
                &record.hash.bytes().as_slice(),
            ],
        )
        .await?;
    Ok(())
}

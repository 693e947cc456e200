//! The public keys of checkpoints and exports, and how one follows the other.
//!
//! Invariants: a key is stored once and never changed; one that follows another is endorsed by it, unless that one was lost, and
//! either way the trail says so.

use brain_connectivity::postgres::{self, Postgres};
use tokio_postgres::{GenericClient, Transaction};

use super::{
    append::append,
    document::{KEY, Key},
    error::Error,
    record::{Actor, Entry, Metadata},
    signing::{KeyId, PublicKey, Signer},
};
use crate::{digest::NotCanonical, ids::TenantId};

/// Why a key does not follow another.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The key before is not the one in use.
    #[error("the old key {0} is not known here: it is not the one that signs, or belongs to another installation")]
    UnknownOld(KeyId),
    /// The key is there already.
    #[error("the new key {0} is known already")]
    Known(KeyId),
    /// It could not be stored.
    #[error(transparent)]
    Audit(#[from] Error),
}

impl From<tokio_postgres::Error> for RotationError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Audit(error.into())
    }
}

impl From<postgres::Error> for RotationError {
    fn from(error: postgres::Error) -> Self {
        Self::Audit(error.into())
    }
}

impl From<NotCanonical> for RotationError {
    fn from(error: NotCanonical) -> Self {
        Self::Audit(Error::Unwritable(error.into()))
    }
}

/// All keys, each after the one that endorses it.
///
/// # Errors
/// Those of the database.
pub async fn list(postgres: &Postgres) -> Result<Vec<Key>, Error> {
    let client = postgres.client().await?;
    Ok(all(&**client).await?)
}

/// The same, in a transaction. A row that holds no key is left out: nothing that it signed will verify.
pub(crate) async fn all(client: &impl GenericClient) -> Result<Vec<Key>, tokio_postgres::Error> {
    let rows = client.query(include_str!("../sql/select_audit_keys.sql"), &[]).await?;
    let keys = rows.iter().filter_map(|row| {
        let signature: Option<&[u8]> = row.get("endorsement");
        Some(Key {
            r#type: KEY.to_owned(),
            key_id: KeyId::stored(row.get("key_id")),
            public_key: PublicKey::try_from(row.get::<_, &[u8]>("public_key")).ok()?,
            endorsed_by: row.get::<_, Option<&str>>("endorsed_by").map(KeyId::stored),
            signature: signature.map(TryInto::try_into).transpose().ok()?,
        })
    });
    Ok(keys.collect())
}

/// Whether this key may sign: it is known, or is the first of all and known from now on.
///
/// # Errors
/// Those of the database.
pub async fn admit(postgres: &Postgres, signer: &Signer) -> Result<bool, Error> {
    let public = signer.public();
    let mut client = postgres.client().await?;
    let known = all(&**client).await?;
    if known.iter().any(|key| key.public_key == public) {
        return Ok(true);
    }
    if !known.is_empty() {
        return Ok(false);
    }
    let transaction = client.transaction().await?;
    let known = lock(&transaction).await?;
    if known.is_empty() {
        insert(&transaction, &first(public)).await?;
        let entry = Entry {
            metadata: Metadata::default().with("publicKey", public.to_string()),
            ..Entry::new(Actor::system("audit"), "audit.key.adopt", public.id().to_string())
        };
        append(&transaction, &TenantId::single(), entry).await?;
        transaction.commit().await?;
        return Ok(true);
    }
    Ok(known.iter().any(|key| key.public_key == public))
}

/// Lets a new key follow the old one, which endorses it; without the old one it stands for itself, and whoever verifies must be
/// told of it. `by` is who does it.
///
/// # Errors
/// [`RotationError`]; nothing is stored then.
pub async fn rotate(postgres: &Postgres, old: Option<&Signer>, new: &Signer, by: &str) -> Result<Key, RotationError> {
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    let known = lock(&transaction).await?;
    let mut key = first(new.public());
    if known.iter().any(|known| known.key_id == key.key_id) {
        return Err(RotationError::Known(key.key_id));
    }
    if let Some(old) = old {
        let id = old.public().id();
        if known.is_empty() {
            // The old key has signed nothing here yet.
            insert(&transaction, &first(old.public())).await?;
        } else if !known.iter().any(|known| known.key_id == id) {
            return Err(RotationError::UnknownOld(id));
        }
        key.endorsed_by = Some(id);
        key.signature = Some(old.sign(&key)?);
    }
    insert(&transaction, &key).await?;
    let entry = Entry {
        metadata: Metadata::default()
            .with("publicKey", key.public_key.to_string())
            .maybe("endorsedBy", key.endorsed_by.as_ref().map(KeyId::as_str)),
        ..Entry::new(Actor::principal(by), "audit.key.rotate", key.key_id.to_string())
    };
    append(&transaction, &TenantId::single(), entry).await?;
    transaction.commit().await?;
    Ok(key)
}

fn first(public_key: PublicKey) -> Key {
    Key {
        r#type: KEY.to_owned(),
        key_id: public_key.id(),
        public_key,
        endorsed_by: None,
        signature: None,
    }
}

/// All keys, of which there are no others until the end of the transaction.
async fn lock(transaction: &Transaction<'_>) -> Result<Vec<Key>, tokio_postgres::Error> {
    transaction
        .batch_execute("LOCK TABLE brain_audit_keys IN SHARE ROW EXCLUSIVE MODE")
        .await?;
    all(transaction).await
}

async fn insert(transaction: &Transaction<'_>, key: &Key) -> Result<(), tokio_postgres::Error> {
    let signature = key.signature.as_ref().map(|signature| signature.bytes().as_slice());
    transaction
        .execute(
            include_str!("../sql/insert_audit_key.sql"),
            &[
                &key.key_id.as_str(),
                &key.public_key.bytes().as_slice(),
                &key.endorsed_by.as_ref().map(KeyId::as_str),
                &signature,
            ],
        )
        .await?;
    Ok(())
}

//! Checkpoints: the ends of chains, signed from time to time, so that nobody without the key can cut them off or write them anew.
//!
//! Invariants: an end is signed only when the chain leads to it from the checkpoint before, which a known key signed, so that no
//! signature covers what was tampered with; replicas that sign the same end write one row.

use std::time::Duration;

use brain_connectivity::postgres::Postgres;
use jiff::Timestamp;
use tokio_postgres::{GenericClient, Row};
use tokio_util::sync::CancellationToken;

use super::{
    chain::{Break, Chain},
    document::{CHECKPOINT, Checkpoint},
    error::Error,
    export::checkpoint,
    keys, read,
    record::{Unwritable, written},
    signing::{PublicKey, Signature, Signer},
};
use crate::{digest::Digest, ids::TenantId};

/// Tenants that are looked at at once.
const TENANTS: i64 = 200;
/// Records that are read at once.
const ROWS: i64 = 500;
/// How soon a round that failed is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// What the service works with.
#[derive(Debug)]
pub struct Options {
    /// Where the trail is.
    pub postgres: Postgres,
    /// The key that signs.
    pub signer: Signer,
    /// How often.
    pub interval: Duration,
}

/// Signs the end of each chain that has grown.
#[derive(Debug)]
pub struct Service {
    options: Options,
}

/// What a round did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// How many ends were signed.
    pub signed: usize,
    /// The chains that do not lead to their ends.
    pub broken: Vec<(TenantId, Break)>,
}

impl Service {
    /// The service, which begins when it is run.
    #[must_use]
    pub const fn new(options: Options) -> Self {
        Self { options }
    }

    /// Signs at once and then from time to time, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let Options {
            postgres,
            signer,
            interval,
        } = &self.options;
        loop {
            let Some(ended) = shutdown.run_until_cancelled(round(postgres, signer)).await else {
                return;
            };
            let pause = match ended {
                Ok(Some(round)) => {
                    told(&round);
                    *interval
                }
                Ok(None) => {
                    tracing::error!(
                        key.id = %signer.public().id(),
                        "audit checkpoints are not signed: the signing key follows no known one; run `brain audit key rotate`"
                    );
                    *interval
                }
                Err(error) => {
                    tracing::warn!(error = %error, "audit checkpoints could not be signed");
                    RETRY.min(*interval)
                }
            };
            if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }
}

fn told(round: &Round) {
    for (tenant, broken) in &round.broken {
        tracing::error!(
            tenant.id = tenant.as_str(),
            error = %broken,
            "an audit trail was tampered with, and its end is not signed"
        );
    }
    if round.signed > 0 {
        tracing::info!(signed = round.signed, "audit checkpoints signed");
    }
}

/// Signs the end of each chain that this key has not signed; none, where the key may not sign here.
///
/// # Errors
/// Those of the database. What was signed before stays.
pub async fn round(postgres: &Postgres, signer: &Signer) -> Result<Option<Round>, Error> {
    if !keys::admit(postgres, signer).await? {
        return Ok(None);
    }
    let client = postgres.client().await?;
    let keys: Vec<PublicKey> = keys::all(&**client).await?.iter().map(|key| key.public_key).collect();
    let id = signer.public().id();
    let mut done = Round::default();
    let mut after = String::new();
    loop {
        let heads = client
            .query(
                include_str!("../sql/select_unsigned_audit_heads.sql"),
                &[&after, &id.as_str(), &TENANTS],
            )
            .await?;
        let Some(last) = heads.last() else {
            return Ok(Some(done));
        };
        after = last.get("tenant_id");
        for head in &heads {
            let tenant = TenantId::trusted(head.get("tenant_id"));
            let hash = Digest::try_from(head.get::<_, &[u8]>("end_hash")).map_err(|_| Error::Broken(tenant.clone()))?;
            let seq = head.get("end_seq");
            let led = match known(head, &tenant, &keys) {
                Ok(chain) => lead(&**client, &tenant, chain, (seq, hash)).await?,
                Err(forged) => Err(forged),
            };
            if let Err(broken) = led {
                done.broken.push((tenant, broken));
                continue;
            }
            let at: Timestamp = head.get("now");
            let mut checkpoint = Checkpoint {
                r#type: CHECKPOINT.to_owned(),
                tenant_id: tenant,
                seq,
                hash,
                at: written(at),
                key_id: id.clone(),
                signature: Signature::NONE,
            };
            checkpoint.signature = signer.sign(&checkpoint).map_err(Unwritable::from)?;
            let insert = client
                .prepare_cached(include_str!("../sql/insert_audit_checkpoint.sql"))
                .await?;
            let written = client
                .execute(
                    &insert,
                    &[
                        &checkpoint.tenant_id.as_str(),
                        &seq,
                        &hash.bytes().as_slice(),
                        &at,
                        &id.as_str(),
                        &checkpoint.signature.bytes().as_slice(),
                    ],
                )
                .await?;
            done.signed += usize::try_from(written).unwrap_or_default();
        }
    }
}

/// The chain of a tenant up to the checkpoint before, which one of these keys must have signed; its begin, where there is none.
fn known(head: &Row, tenant: &TenantId, keys: &[PublicKey]) -> Result<Chain, Break> {
    let Some(seq) = head.get("seq") else {
        return Ok(Chain::new(tenant.clone()));
    };
    match checkpoint(head, tenant).filter(|before| before.is_signed(keys)) {
        Some(before) => Ok(Chain::after(tenant.clone(), seq, before.hash)),
        None => Err(Break::Forged { seq }),
    }
}

/// Whether a chain leads from where it is known to an end.
async fn lead(
    client: &impl GenericClient,
    tenant: &TenantId,
    mut chain: Chain,
    (seq, hash): (i64, Digest),
) -> Result<Result<(), Break>, Error> {
    let mut after = chain.seq();
    loop {
        let rows = read::following(client, tenant, (after, seq), ROWS).await?;
        let Some(last) = rows.last() else {
            return Ok(chain.end(seq, hash));
        };
        after = last.get("seq");
        for row in &rows {
            let followed = read::read(row, tenant).map_err(|_| chain.unreadable());
            if let Err(broken) = followed.and_then(|record| chain.follow(&record)) {
                return Ok(Err(broken));
            }
        }
    }
}

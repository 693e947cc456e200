//! Invariant 8, its first half: the audit chain of every tenant verifies, ends at its head, and is what its checkpoints signed.

use brain_connectivity::postgres::{self, Postgres};
use tokio_postgres::GenericClient;

use super::{Finding, SAMPLES};
use crate::{
    audit::{Break, Chain, Checkpoints, PublicKey, following, keys, record_of},
    digest::Digest,
    ids::TenantId,
};

/// Records that are read at once.
const ROWS: i64 = 1000;

pub(super) async fn check(postgres: &Postgres) -> Result<Finding, postgres::Error> {
    let mut client = postgres.client().await?;
    let transaction = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    transaction.batch_execute("SET LOCAL statement_timeout = 0").await?;
    let keys: Vec<PublicKey> = keys::all(&*transaction)
        .await?
        .iter()
        .map(|key| key.public_key)
        .collect();
    let tenants = transaction
        .query(include_str!("../sql/select_audit_tenants.sql"), &[])
        .await?;
    let (mut count, mut violations) = (0, Vec::new());
    for tenant in &tenants {
        let tenant = TenantId::trusted(tenant.get("tenant_id"));
        let (rows, found) = check_tenant(&*transaction, &tenant, &keys).await?;
        count += rows;
        violations.extend(found.into_iter().map(|what| format!("tenant {tenant}: {what}")));
    }
    transaction.rollback().await?;
    Ok(Finding {
        invariant: 8,
        title: "every audit chain verifies, ends at its head and is what its checkpoints signed",
        checked: format!("{count} records"),
        violations: violations.len() as u64,
        samples: violations.into_iter().take(SAMPLES).collect(),
    })
}

/// How many records a chain has, and what is wrong with it.
async fn check_tenant(
    client: &impl GenericClient,
    tenant: &TenantId,
    keys: &[PublicKey],
) -> Result<(u64, Vec<String>), tokio_postgres::Error> {
    let checkpoints = Checkpoints::of(client, tenant).await?;
    let mut found = checkpoints.forged(keys);
    let mut chain = Chain::new(tenant.clone());
    let (mut after, mut count) = (0, 0);
    let mut broken: Option<Break> = None;
    loop {
        let rows = following(client, tenant, (after, i64::MAX), ROWS).await?;
        let Some(last) = rows.last() else { break };
        after = last.get("seq");
        count += rows.len() as u64;
        for row in &rows {
            if broken.is_some() {
                break;
            }
            let followed = record_of(row, tenant).map_err(|_| chain.unreadable());
            let followed = followed.and_then(|record| chain.follow(&record));
            broken = followed.and_then(|()| checkpoints.agree(&chain)).err();
        }
    }
    if broken.is_none() {
        let head = client
            .query_opt(include_str!("../sql/select_audit_head.sql"), &[&tenant.as_str()])
            .await?;
        let (seq, hash) = head.as_ref().map_or((0, Some(Digest::NONE)), |head| {
            (head.get("seq"), Digest::try_from(head.get::<_, &[u8]>("hash")).ok())
        });
        broken = chain.end(seq, hash.unwrap_or(Digest::NONE)).err();
    }
    match broken {
        Some(broken) => found.push(broken.to_string()),
        None => found.extend(checkpoints.beyond(&chain)),
    }
    Ok((count, found))
}

//! The checkpoints of a chain that are stored, held against the chain.

use std::collections::BTreeMap;

use tokio_postgres::GenericClient;

use super::{
    chain::{Break, Chain},
    document::Checkpoint,
    export::checkpoint,
    signing::PublicKey,
};
use crate::ids::TenantId;

/// All checkpoints of a tenant.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    by_seq: BTreeMap<i64, Vec<Checkpoint>>,
    /// The rows of those that cannot be read.
    unreadable: Vec<i64>,
}

impl Checkpoints {
    /// Reads them.
    pub(crate) async fn of(client: &impl GenericClient, tenant: &TenantId) -> Result<Self, tokio_postgres::Error> {
        let rows = client
            .query(
                include_str!("../sql/select_audit_checkpoints.sql"),
                &[&tenant.as_str(), &1_i64, &i64::MAX, &i64::MAX],
            )
            .await?;
        let (mut by_seq, mut unreadable): (BTreeMap<i64, Vec<Checkpoint>>, Vec<i64>) = Default::default();
        for row in &rows {
            match checkpoint(row, tenant) {
                Some(one) => by_seq.entry(one.seq).or_default().push(one),
                None => unreadable.push(row.get("seq")),
            }
        }
        Ok(Self { by_seq, unreadable })
    }

    /// Those that none of these keys signed, or that cannot be read.
    pub(crate) fn forged(&self, keys: &[PublicKey]) -> Vec<String> {
        let all = self.by_seq.values().flatten();
        let forged = all.filter(|one| !one.is_signed(keys));
        let forged = forged.map(|one| {
            format!(
                "the checkpoint of row {} is not what key {} signed",
                one.seq, one.key_id
            )
        });
        let unreadable = self.unreadable.iter();
        let unreadable = unreadable.map(|seq| format!("the checkpoint of row {seq} cannot be read"));
        forged.chain(unreadable).collect()
    }

    /// Whether the record that was followed last is the one that was signed.
    pub(crate) fn agree(&self, chain: &Chain) -> Result<(), Break> {
        let seq = chain.seq();
        let mut signed = self.by_seq.get(&seq).into_iter().flatten();
        match signed.all(|one| one.hash == chain.hash()) {
            true => Ok(()),
            false => Err(Break::Checkpoint { seq }),
        }
    }

    /// The first one beyond the end of the chain, which was cut off.
    pub(crate) fn beyond(&self, chain: &Chain) -> Option<String> {
        let (seq, _) = self.by_seq.range(chain.next()..).next()?;
        let next = chain.next();
        Some(format!("row {next} is missing: a checkpoint was made of row {seq}"))
    }
}

//! Whether records are a chain: pure, one record after the other, for rows of a database and lines of a file alike.
//!
//! Invariant: whatever was changed, left out, put in, or put elsewhere is a [`Break`] that names the first number at which
//! something else stands than should.

use super::record::Record;
use crate::{digest::Digest, ids::TenantId};

/// Where a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// The row holds what no record holds.
    #[error("row {seq} cannot be read as a record")]
    Unreadable {
        /// Which.
        seq: i64,
    },
    /// It says something else than what was hashed.
    #[error("row {seq} was changed: its hash is not that of what it says")]
    Changed {
        /// Which.
        seq: i64,
    },
    /// It is not there.
    #[error("row {seq} is missing")]
    Missing {
        /// Which.
        seq: i64,
    },
    /// Another one is in its place.
    #[error("row {found} stands in the place of row {seq}")]
    Misplaced {
        /// Whose place it is.
        seq: i64,
        /// Which one is there.
        found: i64,
    },
    /// It is of a chain of somebody else.
    #[error("row {seq} is of tenant {tenant}")]
    Foreign {
        /// Which.
        seq: i64,
        /// Whose it is.
        tenant: TenantId,
    },
    /// Its own hash is right, but it follows something else than what is before it.
    #[error("row {seq} does not follow the row before it: that one was written anew")]
    Unlinked {
        /// Which.
        seq: i64,
    },
    /// The chain goes on where it should have ended.
    #[error("row {seq} comes after the end of the chain")]
    Beyond {
        /// Which.
        seq: i64,
    },
    /// The last row is another one than the end of the chain says.
    #[error("row {seq} is not the row that the chain ends with")]
    End {
        /// Which.
        seq: i64,
    },
    /// It is another row than the one that was signed.
    #[error("row {seq} is not the row that its checkpoint was made of")]
    Checkpoint {
        /// Which.
        seq: i64,
    },
    /// A checkpoint names it that nobody signed, so that nothing is known of what comes before.
    #[error("the checkpoint of row {seq} is not what its key signed")]
    Forged {
        /// Which.
        seq: i64,
    },
}

impl Break {
    /// The first number at which something else stands than should.
    #[must_use]
    pub const fn seq(&self) -> i64 {
        match self {
            Self::Unreadable { seq }
            | Self::Changed { seq }
            | Self::Missing { seq }
            | Self::Misplaced { seq, .. }
            | Self::Foreign { seq, .. }
            | Self::Unlinked { seq }
            | Self::Beyond { seq }
            | Self::End { seq }
            | Self::Checkpoint { seq }
            | Self::Forged { seq } => *seq,
        }
    }
}

/// How far a chain was followed.
#[derive(Debug, Clone)]
pub struct Chain {
    tenant: TenantId,
    seq: i64,
    hash: Digest,
    /// A later row came in place of the next one: which, until the one after it says whether they are swapped.
    displaced: Option<i64>,
}

impl Chain {
    /// The chain of a tenant from its begin.
    #[must_use]
    pub const fn new(tenant: TenantId) -> Self {
        Self::after(tenant, 0, Digest::NONE)
    }

    /// What follows a record of which only number and hash are known.
    #[must_use]
    pub const fn after(tenant: TenantId, seq: i64, hash: Digest) -> Self {
        Self {
            tenant,
            seq,
            hash,
            displaced: None,
        }
    }

    /// The number of the last good record; 0 before the first.
    #[must_use]
    pub const fn seq(&self) -> i64 {
        self.seq
    }

    /// The hash of the last good record.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// The number that comes next.
    #[must_use]
    pub const fn next(&self) -> i64 {
        self.seq + 1
    }

    /// Whether a row stood out of place, of which the next one decides what it is called.
    #[must_use]
    pub const fn is_displaced(&self) -> bool {
        self.displaced.is_some()
    }

    /// Takes the next record. A break that begins with it may be told with the record after it, or at the [end](Self::end).
    ///
    /// # Errors
    /// [`Break`]: the chain is to be followed no further then.
    pub fn follow(&mut self, record: &Record) -> Result<(), Break> {
        let seq = self.next();
        if let Some(found) = self.displaced {
            return Err(match record.seq == seq {
                true => Break::Misplaced { seq, found },
                false => Break::Missing { seq },
            });
        }
        if record.seq > seq {
            self.displaced = Some(record.seq);
            return Ok(());
        }
        if record.seq < seq {
            let found = record.seq;
            return Err(Break::Misplaced { seq, found });
        }
        if record.tenant_id != self.tenant {
            let tenant = record.tenant_id.clone();
            return Err(Break::Foreign { seq, tenant });
        }
        if !record.digest().is_ok_and(|digest| digest == record.hash) {
            return Err(Break::Changed { seq });
        }
        if record.prev_hash != self.hash {
            return Err(Break::Unlinked { seq });
        }
        (self.seq, self.hash) = (seq, record.hash);
        Ok(())
    }

    /// What stands in the place of the next record is no record.
    #[must_use]
    pub const fn unreadable(&self) -> Break {
        let seq = self.next();
        match self.displaced {
            Some(_) => Break::Missing { seq },
            None => Break::Unreadable { seq },
        }
    }

    /// There are no more records: whether these are all up to the one with this number and hash.
    ///
    /// # Errors
    /// [`Break`].
    pub fn end(&self, seq: i64, hash: Digest) -> Result<(), Break> {
        if self.displaced.is_some() || self.seq < seq {
            return Err(Break::Missing { seq: self.next() });
        }
        if self.seq > seq {
            return Err(Break::Beyond { seq: seq + 1 });
        }
        match self.hash == hash {
            true => Ok(()),
            false => Err(Break::End { seq }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;
    use crate::audit::record::{Actor, Entry};

    fn records(count: i64) -> Vec<Record> {
        let tenant = TenantId::single();
        let mut before = Digest::NONE;
        let made = (1..=count).map(|seq| {
            let entry = Entry::new(Actor::principal("admin"), "task.cancel", format!("t-{seq}"));
            let record = Record::following((&tenant, seq, before), jiff::Timestamp::UNIX_EPOCH, entry).unwrap();
            before = record.hash;
            record
        });
        made.collect()
    }

    fn verify(records: &[Record], seq: i64, hash: Digest) -> Result<(), Break> {
        let mut chain = Chain::new(TenantId::single());
        for record in records {
            chain.follow(record)?;
        }
        chain.end(seq, hash)
    }

    fn broken(edit: impl FnOnce(&mut Vec<Record>)) -> Break {
        let mut rows = records(9);
        let end = rows[8].hash;
        edit(&mut rows);
        verify(&rows, 9, end).unwrap_err()
    }

    #[test]
    fn each_break_names_the_row() {
        let rows = records(9);
        assert_eq!(verify(&rows, 9, rows[8].hash), Ok(()));
        assert_eq!(verify(&[], 0, Digest::NONE), Ok(()));
        let rewritten = |row: &mut Record| {
            row.target = "other".to_owned();
            row.hash = row.digest().unwrap();
        };
        let stranger = TenantId::new("stranger").unwrap();
        for (found, expected) in [
            (broken(|rows| rows[4].target.push('x')), Break::Changed { seq: 5 }),
            (broken(|rows| drop(rows.remove(4))), Break::Missing { seq: 5 }),
            (broken(|rows| rows.swap(4, 5)), Break::Misplaced { seq: 5, found: 6 }),
            (broken(|rows| rows.swap(4, 7)), Break::Missing { seq: 5 }),
            (
                broken(|rows| rows.insert(4, rows[3].clone())),
                Break::Misplaced { seq: 5, found: 4 },
            ),
            (broken(|rows| rewritten(&mut rows[4])), Break::Unlinked { seq: 6 }),
            (broken(|rows| rewritten(&mut rows[8])), Break::End { seq: 9 }),
            (broken(|rows| drop(rows.pop())), Break::Missing { seq: 9 }),
            (broken(|rows| drop(rows.remove(7))), Break::Missing { seq: 8 }),
            (
                broken(|rows| rows[0].tenant_id = stranger.clone()),
                Break::Foreign {
                    seq: 1,
                    tenant: stranger.clone(),
                },
            ),
        ] {
            assert_eq!(found, expected);
        }
        assert_eq!(verify(&rows, 8, rows[7].hash), Err(Break::Beyond { seq: 9 }));
    }

    #[test]
    fn a_chain_is_followed_from_where_it_is_known() {
        let rows = records(9);
        let mut chain = Chain::after(TenantId::single(), 4, rows[3].hash);
        for row in &rows[4..] {
            chain.follow(row).unwrap();
        }
        assert_eq!(chain.end(9, rows[8].hash), Ok(()));
    }

    proptest! {
        #[test]
        fn whatever_order_they_are_in_only_the_right_one_is_a_chain(
            order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(), kept in 1..=6_usize,
        ) {
            let rows = records(6);
            let shuffled: Vec<Record> = order.iter().take(kept).map(|at| rows[*at].clone()).collect();
            let whole = kept == 6 && order.is_sorted();
            let verdict = verify(&shuffled, 6, rows[5].hash);
            prop_assert_eq!(verdict.is_ok(), whole);
            if let Err(broken) = verdict {
                let first = order.iter().take(kept).enumerate().take_while(|(at, seq)| at == *seq).count();
                prop_assert_eq!(broken.seq(), first as i64 + 1);
            }
        }
    }
}

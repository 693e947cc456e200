//! The stream side: which stream a swarm's events travel on, and how an entry on it looks.

pub(crate) mod entry;
pub(crate) mod reader;
pub(crate) mod trim;

use brain_config::Bus;

use crate::ids::{StreamName, SwarmId, TenantId};

/// The streams of a deployment: one, or one for each partition.
#[derive(Debug, Clone)]
pub struct StreamNames {
    base: String,
    all: Vec<StreamName>,
}

impl StreamNames {
    /// `name` alone with one partition; `name:0` to `name:N-1` with N.
    #[must_use]
    pub fn new(bus: &Bus) -> Self {
        let base = bus.stream_name.clone();
        let all = match bus.partitions {
            0 | 1 => vec![StreamName::trusted(&base)],
            many => (0..many)
                .map(|partition| StreamName::trusted(&format!("{base}:{partition}")))
                .collect(),
        };
        Self { base, all }
    }

    /// The configured name that all of them share.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// All of them, by partition.
    #[must_use]
    pub fn all(&self) -> &[StreamName] {
        &self.all
    }

    /// The stream of a swarm: partition CRC-32 (the one of zip and zlib) of its id, modulo the number of partitions. Of a tenant
    /// other than `default` it is that of `tenant/swarm`, so that swarms which every tenant names alike do not share a partition.
    #[must_use]
    pub fn of(&self, tenant: &TenantId, swarm: &SwarmId) -> StreamName {
        let mut crc = crc32fast::Hasher::new();
        if tenant.as_str() != TenantId::SINGLE {
            crc.update(tenant.as_str().as_bytes());
            crc.update(b"/");
        }
        crc.update(swarm.as_str().as_bytes());
        let partition = crc.finalize() as usize % self.all.len();
        self.all[partition].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(partitions: u16) -> StreamNames {
        let mut bus = brain_config::Config::defaults().bus;
        bus.partitions = partitions;
        StreamNames::new(&bus)
    }

    #[test]
    fn one_partition_keeps_the_plain_name() {
        assert_eq!(
            names(1).of(&TenantId::single(), &SwarmId::trusted("any")).as_str(),
            "studiobrain.events"
        );
    }

    /// Other programs compute this too: the values must never change.
    #[test]
    fn partitions_are_chosen_by_crc32() {
        let four = names(4);
        let partition = |swarm: &str| four.of(&TenantId::single(), &SwarmId::trusted(swarm)).to_string();
        // python3 -c 'import zlib; print(zlib.crc32(b"default-swarm") % 4)'
        assert_eq!(
            partition("default-swarm"),
            format!("studiobrain.events:{}", crc32fast::hash(b"default-swarm") % 4)
        );
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        let of_tenant = four.of(&TenantId::trusted("acme"), &SwarmId::trusted("default-swarm"));
        assert_eq!(
            of_tenant.as_str(),
            format!("studiobrain.events:{}", crc32fast::hash(b"acme/default-swarm") % 4)
        );
    }
}

//! The state of a registry that is in force, as it is changed from.
//!
//! Invariant: everything that a change takes over was signed as readers ask it to be: what somebody put into the
//! directory without a key is not signed by the next one who has a key.

use std::collections::BTreeMap;

use super::{Error, disk::Disk};
use crate::registry::{
    keys::read_keys,
    metadata::{Envelope, Root, Snapshot, Targets, Timestamp},
    names::{self, REVOKED},
    refresh::{first_root, next_root},
    revoked::Revocations,
    view::{self, Documents},
};

#[derive(Debug)]
pub(super) struct Current {
    pub(super) root: Root,
    pub(super) timestamp: Timestamp,
    pub(super) snapshot: Snapshot,
    pub(super) targets: Targets,
    pub(super) publishers: BTreeMap<String, Targets>,
    /// The texts that all of this was read from.
    pub(super) documents: Documents,
}

impl Current {
    pub(super) fn load(disk: &Disk) -> Result<Self, Error> {
        let mut root = first_root(&disk.document("1.root.json")?)?;
        while let Some(text) = disk.file(&format!("metadata/{}.root.json", root.version + 1))? {
            root = next_root(&root, "root.json", &text)?;
        }
        let mut documents = Documents {
            timestamp: disk.document("timestamp.json")?,
            ..Documents::default()
        };
        let timestamp = view::timestamp(&root, documents.timestamp.as_bytes())?;
        let version = timestamp.snapshot().map_or(0, |meta| meta.version);
        documents.snapshot = disk.document(&format!("{version}.snapshot.json"))?;
        let snapshot = view::snapshot(&root, &timestamp, documents.snapshot.as_bytes())?;
        let version = view::meta(&snapshot, "targets.json")?.version;
        documents.targets = disk.document(&format!("{version}.targets.json"))?;
        let targets = view::targets(&root, &snapshot, documents.targets.as_bytes())?;

        let mut publishers = BTreeMap::new();
        let delegations = targets.delegations()?;
        let keys = read_keys("targets.json", &delegations.keys)?;
        for publisher in &delegations.roles {
            let file = format!("{}.json", publisher.name);
            let text = disk.document(&format!("{}.{file}", view::meta(&snapshot, &file)?.version))?;
            let role = Envelope::read(&file, text.as_bytes())?.verified(&file, &publisher.quorum(&keys)?)?;
            publishers.insert(publisher.name.clone(), role);
            documents.publishers.insert(publisher.name.clone(), Ok(text));
        }
        if let Some(target) = targets.targets.get(REVOKED) {
            let sha256 = target.sha256().map(|digest| digest.hex()).unwrap_or_default();
            let name = names::stored(REVOKED, &sha256);
            let text = disk
                .file(&name)?
                .ok_or(crate::registry::Error::Missing { what: name })?;
            view::check_target(REVOKED, target, text.as_bytes())?;
            documents.revoked = Some(text);
        }
        Ok(Self {
            root,
            timestamp,
            snapshot,
            targets,
            publishers,
            documents,
        })
    }

    pub(super) fn revocations(&self) -> Result<Revocations, Error> {
        match &self.documents.revoked {
            Some(text) => Ok(Revocations::read(text.as_bytes())?),
            None => Ok(Revocations::default()),
        }
    }

    /// The version that a role has now, also a publisher's who was removed; 0 if it never was.
    pub(super) fn version(&self, role: &str) -> u64 {
        match role {
            "root" => self.root.version,
            role => self
                .snapshot
                .meta
                .get(&format!("{role}.json"))
                .map_or(0, |meta| meta.version),
        }
    }
}

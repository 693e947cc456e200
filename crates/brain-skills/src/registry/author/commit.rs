//! How a change comes into force: signed, completed by snapshot and timestamp, checked as a reader would, written at once.
//!
//! Invariant: nothing is written into the registry that a reader would refuse.

use std::collections::BTreeMap;

use super::{
    Author, Error, Outcome, SecretKey,
    current::Current,
    disk::Lock,
    draft::{Document, Draft},
};
use crate::registry::{
    self,
    metadata::{Envelope, Meta, Root, Snapshot, Targets, Timestamp},
    names::{self, REVOKED},
    view::{Documents, View},
};

impl Author {
    /// Signs a draft, and brings it into force or lets it wait.
    pub(super) fn finish(
        &self,
        lock: &Lock,
        current: Option<&Current>,
        mut draft: Draft,
        keys: &[SecretKey],
    ) -> Result<Outcome, Error> {
        let mut missing = Vec::new();
        let roles: Vec<_> = draft.documents.keys().cloned().collect();
        for role in roles {
            let quorums = draft.quorums(&role, current)?;
            if let Some(document) = draft.documents.get_mut(&role) {
                document.sign(&quorums, keys);
                missing.extend(document.missing(&role, &quorums));
            }
        }
        let outcome = match missing.is_empty() {
            true => self.commit(lock, current, &draft, keys)?,
            false => Outcome::Waits(missing),
        };
        match outcome {
            Outcome::Published => self.disk.remove_waiting(lock)?,
            Outcome::Waits(_) => {
                let text = serde_json::to_string_pretty(&draft);
                let text = text.map_err(|error| registry::Error::malformed("waiting.json", error))?;
                self.disk.write_waiting(lock, &text)?;
            }
        }
        Ok(outcome)
    }

    /// Adds snapshot and timestamp to a complete draft, checks all of it as a reader would, and brings it into force.
    pub(super) fn commit(
        &self,
        lock: &Lock,
        current: Option<&Current>,
        draft: &Draft,
        keys: &[SecretKey],
    ) -> Result<Outcome, Error> {
        let root = draft.root(current)?;
        let mut meta = current.map(|current| current.snapshot.meta.clone()).unwrap_or_default();
        let mut documents = current.map(|current| current.documents.clone()).unwrap_or_default();
        let mut files = Vec::new();
        for (role, document) in &draft.documents {
            let text = document.text(role)?;
            let version = document.signed["version"].as_u64().unwrap_or_default();
            files.push((format!("{version}.{role}.json"), text.clone()));
            if role != "root" {
                meta.insert(format!("{role}.json"), Meta::of(version));
            }
            match role.as_str() {
                "root" => {}
                "targets" => documents.targets = text,
                publisher => drop(documents.publishers.insert(publisher.to_owned(), Ok(text))),
            }
        }
        let snapshot = Snapshot {
            version: current.map_or(0, |current| current.snapshot.version) + 1,
            expires: self.until(self.expiries.snapshot),
            meta,
        };
        let timestamp = Timestamp {
            version: current.map_or(0, |current| current.timestamp.version) + 1,
            expires: self.until(self.expiries.timestamp),
            meta: BTreeMap::from([("snapshot.json".to_owned(), Meta::of(snapshot.version))]),
        };
        let mut missing = Vec::new();
        let mut online = |role: &str, mut document: Document| {
            let quorums = [root.quorum(role)?];
            document.sign(&quorums, keys);
            missing.extend(document.missing(role, &quorums));
            document.text(role)
        };
        documents.snapshot = online("snapshot", Document::of(&snapshot)?)?;
        documents.timestamp = online("timestamp", Document::of(&timestamp)?)?;
        if let Some(first) = missing.first() {
            if draft.documents.is_empty() {
                return Err(Error::MissingKey {
                    role: first.role.clone(),
                });
            }
            return Ok(Outcome::Waits(missing));
        }
        self.check(&root, draft, documents.clone())?;
        files.push((format!("{}.snapshot.json", snapshot.version), documents.snapshot));
        files.push(("timestamp.json".to_owned(), documents.timestamp));
        self.disk.commit(lock, &files)?;
        Ok(Outcome::Published)
    }

    /// What is brought into force is what readers accept.
    fn check(&self, root: &Root, draft: &Draft, mut documents: Documents) -> Result<(), Error> {
        let targets = documents.targets.as_bytes();
        let targets: Targets = Envelope::read("targets.json", targets)?.content("targets.json")?;
        if let Some(target) = targets.targets.get(REVOKED) {
            let sha256 = target.sha256().map(|digest| digest.hex()).unwrap_or_default();
            documents.revoked = self.disk.file(&names::stored(REVOKED, &sha256))?;
        }
        let now = self.clock.now();
        let view = View::verify(root, &documents)?;
        view.check_age(now)?;
        let changed = view
            .roles(now)
            .into_iter()
            .filter(|role| draft.documents.contains_key(&role.name));
        for role in changed {
            if let Some(problem) = role.problem {
                return Err(registry::Error::malformed(&role.name, problem).into());
            }
        }
        Ok(())
    }
}

//! One verified state of a registry: which skills it offers, by whom, and what was revoked.
//!
//! Invariants: a view is made only of documents that the root's keys lead to and that belong to one snapshot; a
//! publisher's mistakes cost only that publisher: a target outside its paths is as if it were not listed, and where its
//! document is bad its names are offered by nobody else.

use std::collections::BTreeMap;

use jiff::Timestamp as Time;
use serde::{Deserialize, Serialize};

use super::{
    Error, Role,
    keys::read_keys,
    metadata::{Delegation, Envelope, Kind, Root, Snapshot, Target, Targets, Timestamp},
    names::{self, REVOKED},
    revoked::Revocations,
};
use crate::{digest::Digest, reference::SkillRef};

/// The name by which the repository's own targets role is a publisher.
pub(super) const OWNER: &str = "targets";

/// The documents of a view, as they were received.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Documents {
    pub(super) timestamp: String,
    pub(super) snapshot: String,
    pub(super) targets: String,
    /// By the publisher's name: the document, or why there is none.
    pub(super) publishers: BTreeMap<String, Result<String, String>>,
    pub(super) revoked: Option<String>,
}

/// A verified state.
#[derive(Debug)]
pub(super) struct View {
    pub(super) root: Root,
    pub(super) timestamp: Timestamp,
    snapshot: Snapshot,
    targets: Targets,
    publishers: Vec<Publisher>,
    pub(super) revoked: Revocations,
}

#[derive(Debug)]
struct Publisher {
    delegation: Delegation,
    role: Result<Targets, String>,
    strays: usize,
}

/// A skill that a view offers.
#[derive(Debug)]
pub(super) struct Offer<'a> {
    pub(super) target: &'a Target,
    pub(super) publisher: &'a str,
}

impl View {
    /// Verifies documents together; nothing is said of their age.
    pub(super) fn verify(root: &Root, documents: &Documents) -> Result<Self, Error> {
        let timestamp = timestamp(root, documents.timestamp.as_bytes())?;
        let snapshot = snapshot(root, &timestamp, documents.snapshot.as_bytes())?;
        let targets = targets(root, &snapshot, documents.targets.as_bytes())?;
        let delegations = targets.delegations()?;
        let keys = read_keys("targets.json", &delegations.keys)?;
        let publishers = delegations.roles.into_iter().map(|delegation| {
            let name = delegation.name.clone();
            let received = documents.publishers.get(&name);
            let read = match received {
                None => Err("its document was not read".to_owned()),
                Some(Err(problem)) => Err(problem.clone()),
                Some(Ok(text)) => delegation
                    .quorum(&keys)
                    .and_then(|quorum| {
                        let file = format!("{name}.json");
                        let meta = meta(&snapshot, &file)?;
                        meta.check(&file, text.as_bytes())?;
                        let role: Targets = Envelope::read(&file, text.as_bytes())?.verified(&file, &quorum)?;
                        same_version(&file, meta.version, role.version)?;
                        Ok(role)
                    })
                    .map_err(|error| error.to_string()),
            };
            let strays = read.as_ref().map_or(0, |role| {
                let foreign = |target: &&String| !delegation.owns(target);
                role.targets.keys().filter(foreign).count()
            });
            Publisher {
                delegation,
                role: read,
                strays,
            }
        });
        let publishers = publishers.collect();
        let revoked = match (targets.targets.get(REVOKED), &documents.revoked) {
            (None, _) => Revocations::default(),
            (Some(target), Some(text)) => {
                check_target(REVOKED, target, text.as_bytes())?;
                Revocations::read(text.as_bytes())?
            }
            (Some(_), None) => return Err(Error::mixed(REVOKED, "it was not read")),
        };
        Ok(Self {
            root: root.clone(),
            timestamp,
            snapshot,
            targets,
            publishers,
            revoked,
        })
    }

    /// Refuses a view that is too old as a whole.
    pub(super) fn check_age(&self, now: Time) -> Result<(), Error> {
        check_age("root.json", &self.root, now)?;
        check_age("timestamp.json", &self.timestamp, now)?;
        check_age("snapshot.json", &self.snapshot, now)?;
        check_age("targets.json", &self.targets, now)
    }

    /// Whether some publisher's document was not had, so that reading again may bring it.
    pub(super) fn lacks(&self) -> bool {
        self.publishers.iter().any(|publisher| publisher.role.is_err())
    }

    /// Who offers a skill, by the order of the publishers.
    pub(super) fn find(&self, skill: &SkillRef, now: Time) -> Result<Offer<'_>, Error> {
        let name = names::target(skill);
        if let Some(target) = self.targets.targets.get(&name) {
            return Ok(Offer {
                target,
                publisher: OWNER,
            });
        }
        let owners = self
            .publishers
            .iter()
            .filter(|publisher| publisher.delegation.owns(&name));
        for publisher in owners {
            let unusable = |reason: String| Error::Publisher {
                skill: skill.clone(),
                publisher: publisher.delegation.name.clone(),
                reason,
            };
            // A publisher who cannot be read still owns the name: nobody behind it takes over.
            let role = publisher.role.as_ref().map_err(|problem| unusable(problem.clone()))?;
            check_age(&publisher.delegation.name, role, now).map_err(|error| unusable(error.to_string()))?;
            if let Some(target) = role.targets.get(&name) {
                let publisher = &publisher.delegation.name;
                return Ok(Offer { target, publisher });
            }
            if publisher.delegation.terminating {
                break;
            }
        }
        Err(Error::UnknownSkill { skill: skill.clone() })
    }

    /// All skills that can be had now.
    pub(super) fn skills(&self, now: Time) -> Vec<SkillRef> {
        let published = self
            .publishers
            .iter()
            .filter_map(|publisher| publisher.role.as_ref().ok());
        let listed = std::iter::once(&self.targets)
            .chain(published)
            .flat_map(|role| role.targets.keys());
        let mut skills: Vec<_> = listed.filter_map(|target| names::skill(target)).collect();
        skills.sort();
        skills.dedup();
        skills.retain(|skill| self.find(skill, now).is_ok());
        skills
    }

    /// Every role with its version, age and problems.
    pub(super) fn roles(&self, now: Time) -> Vec<Role> {
        fn row<T: Kind>(name: &str, role: &T, now: Time) -> Role {
            Role {
                name: name.to_owned(),
                version: Some(role.version()),
                expires: Some(role.expires()),
                expired: role.expires() <= now,
                problem: None,
            }
        }
        let mut rows = vec![
            row("root", &self.root, now),
            row("timestamp", &self.timestamp, now),
            row("snapshot", &self.snapshot, now),
            row("targets", &self.targets, now),
        ];
        rows.extend(self.publishers.iter().map(|publisher| {
            let name = &publisher.delegation.name;
            match &publisher.role {
                Ok(role) => Role {
                    problem: (publisher.strays > 0)
                        .then(|| format!("{} targets outside its paths are ignored", publisher.strays)),
                    ..row(name, role, now)
                },
                Err(problem) => Role {
                    name: name.clone(),
                    version: None,
                    expires: None,
                    expired: false,
                    problem: Some(problem.clone()),
                },
            }
        }));
        rows
    }
}

pub(super) fn check_age<T: Kind>(what: &str, role: &T, now: Time) -> Result<(), Error> {
    if role.expires() <= now {
        return Err(Error::Expired {
            what: what.to_owned(),
            since: role.expires(),
        });
    }
    Ok(())
}

pub(super) fn timestamp(root: &Root, bytes: &[u8]) -> Result<Timestamp, Error> {
    let what = "timestamp.json";
    Envelope::read(what, bytes)?.verified(what, &root.quorum("timestamp")?)
}

pub(super) fn snapshot(root: &Root, timestamp: &Timestamp, bytes: &[u8]) -> Result<Snapshot, Error> {
    let what = "snapshot.json";
    let meta = timestamp
        .snapshot()
        .ok_or_else(|| Error::mixed(what, "it is not named"))?;
    meta.check(what, bytes)?;
    let snapshot: Snapshot = Envelope::read(what, bytes)?.verified(what, &root.quorum("snapshot")?)?;
    same_version(what, meta.version, snapshot.version)?;
    Ok(snapshot)
}

pub(super) fn targets(root: &Root, snapshot: &Snapshot, bytes: &[u8]) -> Result<Targets, Error> {
    let what = "targets.json";
    let meta = meta(snapshot, what)?;
    meta.check(what, bytes)?;
    let targets: Targets = Envelope::read(what, bytes)?.verified(what, &root.quorum("targets")?)?;
    same_version(what, meta.version, targets.version)?;
    Ok(targets)
}

pub(super) fn meta<'a>(snapshot: &'a Snapshot, file: &str) -> Result<&'a super::metadata::Meta, Error> {
    let meta = snapshot.meta.get(file);
    meta.ok_or_else(|| Error::mixed(file, "the snapshot does not name it"))
}

fn same_version(what: &str, named: u64, got: u64) -> Result<(), Error> {
    if named != got {
        return Err(Error::mixed(
            what,
            format_args!("version {named} is named, {got} was found"),
        ));
    }
    Ok(())
}

/// Refuses bytes that are not the target's.
pub(super) fn check_target(what: &str, target: &Target, bytes: &[u8]) -> Result<(), Error> {
    if target.length != bytes.len() as u64 || target.sha256() != Some(Digest::of(bytes)) {
        return Err(Error::mixed(what, "its length or SHA-256 differs"));
    }
    Ok(())
}

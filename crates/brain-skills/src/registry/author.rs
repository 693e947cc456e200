//! Writing registries: keys, publishers, skills, revocations.
//!
//! Invariants: what is in force changes in one step or not at all, and only to what readers will accept; a document
//! that needs more signatures than the given keys make waits in `waiting.json` until others sign it; a published
//! version never changes; no version number is used twice. Everything here waits for the disk: asynchronous callers run
//! it on a thread of its own.

mod commit;
mod current;
mod disk;
mod draft;
mod error;
mod secret;

use std::{collections::BTreeMap, fs::File, path::Path};

use jiff::{SignedDuration, Timestamp as Time};
use serde_json::{Value, json};

use self::{current::Current, disk::Disk, draft::Draft};
pub use self::{draft::Missing, error::Error, secret::SecretKey};
use super::{
    Limits, PublicKey,
    metadata::{Delegation, Delegations, RoleKeys, Root, TOP_LEVEL, Target, Targets},
    names::{self, Pattern, REVOKED, is_role},
    revoked::{MAX_REASON_BYTES, Revocation, Subject},
    settings::Clock,
    view::OWNER,
};
use crate::{digest::Digest, reference::SkillRef};

/// How long documents are believed after they were signed.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each field is named for its role")]
pub struct Expiries {
    pub root: SignedDuration,
    pub targets: SignedDuration,
    pub publisher: SignedDuration,
    pub snapshot: SignedDuration,
    pub timestamp: SignedDuration,
}

impl Default for Expiries {
    fn default() -> Self {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        Self {
            root: days(365),
            targets: days(180),
            publisher: days(180),
            snapshot: days(7),
            timestamp: days(1),
        }
    }
}

/// The keys of a role, and how many of them must sign.
#[derive(Debug, Clone)]
pub struct RoleOf {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// How many must sign.
    pub threshold: u64,
}

/// The keys of a new registry.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each field is named for its role")]
pub struct Roles {
    pub root: RoleOf,
    pub targets: RoleOf,
    pub snapshot: RoleOf,
    pub timestamp: RoleOf,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force.
    Published,
    /// It waits for these signatures.
    Waits(Vec<Missing>),
}

/// A registry that is changed.
#[derive(Debug)]
pub struct Author {
    disk: Disk,
    expiries: Expiries,
    clock: Clock,
    archive_limit: u64,
}

impl Author {
    /// The registry in this directory, which [`Author::init`] makes where it is not there.
    pub fn new(folder: &Path, expiries: Expiries, clock: Clock) -> Self {
        Self {
            disk: Disk::new(folder),
            expiries,
            clock,
            archive_limit: Limits::default().archive,
        }
    }

    /// Makes a new registry. All keys that the thresholds ask for must come together or in steps.
    pub fn init(&self, roles: &Roles, keys: &[SecretKey]) -> Result<Outcome, Error> {
        let folder = self.disk.folder();
        std::fs::create_dir_all(folder).map_err(|error| super::Error::local(folder, error))?;
        let lock = self.disk.lock()?;
        if self.disk.metadata().exists() {
            return Err(Error::Exists {
                path: folder.to_owned(),
            });
        }
        self.nothing_waits()?;
        let mut root = Root {
            version: 1,
            expires: self.until(self.expiries.root),
            consistent_snapshot: true,
            keys: BTreeMap::new(),
            roles: BTreeMap::new(),
        };
        for (name, role) in TOP_LEVEL
            .into_iter()
            .zip([&roles.root, &roles.targets, &roles.snapshot, &roles.timestamp])
        {
            set_keys(&mut root, name, role);
        }
        let targets = Targets {
            version: 1,
            expires: self.until(self.expiries.targets),
            targets: BTreeMap::new(),
            delegations: None,
        };
        let mut draft = Draft::default();
        draft.put("root", &root)?;
        draft.put("targets", &targets)?;
        self.finish(&lock, None, draft, keys)
    }

    /// Signs snapshot and timestamp again before they expire; also while a change waits.
    pub fn refresh(&self, keys: &[SecretKey]) -> Result<Outcome, Error> {
        let lock = self.disk.lock()?;
        let current = Current::load(&self.disk)?;
        self.commit(&lock, Some(&current), &Draft::default(), keys)
    }

    /// Signs a role (root, targets or a publisher) again as it is, before it expires.
    pub fn renew(&self, role: &str, keys: &[SecretKey]) -> Result<Outcome, Error> {
        self.change(keys, |_, draft, current| match role {
            "root" => self.put_root(draft, current, current.root.clone()),
            "targets" => self.put_targets(draft, current, current.targets.clone()),
            name => {
                let known = current.publishers.get(name);
                let known = known.ok_or_else(|| Error::UnknownRole { role: name.to_owned() })?;
                self.put_publisher(draft, current, name, known.clone())
            }
        })
    }

    /// Gives a role (of TUF, or a publisher) other keys. A root needs the quorum before and the new one.
    pub fn rotate(&self, role: &str, to: &RoleOf, keys: &[SecretKey]) -> Result<Outcome, Error> {
        self.change(keys, |_, draft, current| {
            if TOP_LEVEL.contains(&role) {
                let mut root = current.root.clone();
                set_keys(&mut root, role, to);
                self.put_root(draft, current, root)?;
                if role == "targets" {
                    self.put_targets(draft, current, current.targets.clone())?;
                }
                return Ok(());
            }
            let known = current.publishers.get(role);
            let known = known.ok_or_else(|| Error::UnknownRole { role: role.to_owned() })?;
            let mut targets = current.targets.clone();
            let mut delegations = targets.delegations()?;
            for delegation in delegations
                .roles
                .iter_mut()
                .filter(|delegation| delegation.name == role)
            {
                delegation.keyids = ids(to);
                delegation.threshold = to.threshold;
            }
            set_delegations(&mut targets, delegations, to)?;
            self.put_targets(draft, current, targets)?;
            self.put_publisher(draft, current, role, known.clone())
        })
    }

    /// Lets a publisher offer skills whose names match one of these globs, such as `acme-*`.
    pub fn add_publisher(&self, name: &str, of: &RoleOf, globs: &[&str], keys: &[SecretKey]) -> Result<Outcome, Error> {
        let refused = |reason: String| Error::Publisher {
            name: name.to_owned(),
            reason,
        };
        self.change(keys, |_, draft, current| {
            if !is_role(name) {
                return Err(refused(
                    "use a-z, 0-9, '-' and '_', and no name of a TUF role".to_owned(),
                ));
            }
            let mut targets = current.targets.clone();
            let mut delegations = targets.delegations()?;
            if delegations.roles.iter().any(|role| role.name == name) {
                return Err(refused("it is one already".to_owned()));
            }
            let paths = globs.iter().map(|glob| {
                Pattern::of_names(glob).ok_or_else(|| refused(format!("{glob:?} is no glob of names such as acme-*")))
            });
            delegations.roles.push(Delegation {
                name: name.to_owned(),
                keyids: ids(of),
                threshold: of.threshold,
                terminating: true,
                paths: paths.collect::<Result<_, _>>()?,
            });
            set_delegations(&mut targets, delegations, of)?;
            self.put_targets(draft, current, targets)?;
            let empty = Targets {
                version: 0,
                expires: Time::UNIX_EPOCH,
                targets: BTreeMap::new(),
                delegations: None,
            };
            self.put_publisher(draft, current, name, empty)
        })
    }

    /// Takes a publisher's names away; its skills are no longer offered.
    pub fn remove_publisher(&self, name: &str, keys: &[SecretKey]) -> Result<Outcome, Error> {
        self.change(keys, |_, draft, current| {
            let mut targets = current.targets.clone();
            let mut delegations = targets.delegations()?;
            let had = delegations.roles.len();
            delegations.roles.retain(|role| role.name != name);
            if delegations.roles.len() == had {
                return Err(Error::UnknownRole { role: name.to_owned() });
            }
            let nobody = RoleOf {
                keys: Vec::new(),
                threshold: 0,
            };
            set_delegations(&mut targets, delegations, &nobody)?;
            self.put_targets(draft, current, targets)
        })
    }

    /// Offers a skill: the archive's bytes as they are, and the digest of the tree that they unpack to.
    pub fn publish(
        &self,
        archive: &Path,
        skill: &SkillRef,
        tree: &Digest,
        publisher: &str,
        keys: &[SecretKey],
    ) -> Result<Outcome, Error> {
        self.change(keys, |_, draft, current| {
            let name = names::target(skill);
            let mut role = match publisher {
                OWNER => current.targets.clone(),
                publisher => {
                    let delegations = current.targets.delegations()?.roles;
                    let owner = delegations.into_iter().find(|role| role.name == publisher);
                    let owner = owner.ok_or_else(|| Error::UnknownRole {
                        role: publisher.to_owned(),
                    })?;
                    if !owner.owns(&name) {
                        return Err(Error::NotOwner {
                            publisher: publisher.to_owned(),
                            skill: skill.clone(),
                            patterns: owner.paths,
                        });
                    }
                    let known = current.publishers.get(publisher);
                    known.cloned().ok_or_else(|| Error::UnknownRole {
                        role: publisher.to_owned(),
                    })?
                }
            };
            let file = File::open(archive).map_err(|error| super::Error::local(archive, error))?;
            let target = self.put_target(&name, file, json!({"treeDigest": tree}))?;
            match role.targets.insert(name, target.clone()) {
                Some(had) if had != target => return Err(Error::Published { skill: skill.clone() }),
                _ => {}
            }
            match publisher {
                OWNER => self.put_targets(draft, current, role),
                publisher => self.put_publisher(draft, current, publisher, role),
            }
        })
    }

    /// Revokes a version by its name, or files by the digest of their tree.
    pub fn revoke(&self, subject: Subject, reason: &str, keys: &[SecretKey]) -> Result<Outcome, Error> {
        if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
            return Err(Error::Reason {
                limit: MAX_REASON_BYTES,
            });
        }
        self.change(keys, |_, draft, current| {
            let mut list = current.revocations()?;
            list.add(
                subject,
                Revocation {
                    time: self.until(SignedDuration::ZERO),
                    reason: reason.to_owned(),
                },
            );
            let mut targets = current.targets.clone();
            let target = self.put_target(REVOKED, list.write()?.as_slice(), Value::Null)?;
            targets.targets.insert(REVOKED.to_owned(), target);
            self.put_targets(draft, current, targets)
        })
    }

    /// What waits for signatures: each document by its role, to be read before it is signed.
    pub fn waiting(&self) -> Result<Option<BTreeMap<String, Value>>, Error> {
        let draft = self.draft()?;
        let signed = |draft: Draft| {
            draft
                .documents
                .into_iter()
                .map(|(role, document)| (role, document.signed))
                .collect()
        };
        Ok(draft.map(signed))
    }

    /// Signs what waits; when nothing is missing any more, it comes into force.
    pub fn sign(&self, keys: &[SecretKey]) -> Result<Outcome, Error> {
        let lock = self.disk.lock()?;
        let draft = self.draft()?.ok_or(Error::NothingWaits)?;
        let current = if self.disk.metadata().exists() {
            Some(Current::load(&self.disk)?)
        } else {
            None
        };
        for (role, document) in &draft.documents {
            let had = current.as_ref().map_or(0, |current| current.version(role));
            if document.signed["version"] != had + 1 {
                return Err(Error::Outdated { role: role.clone() });
            }
        }
        self.finish(&lock, current.as_ref(), draft, keys)
    }

    /// Forgets what waits.
    pub fn discard(&self) -> Result<(), Error> {
        let lock = self.disk.lock()?;
        Ok(self.disk.remove_waiting(&lock)?)
    }

    fn change(
        &self,
        keys: &[SecretKey],
        edit: impl FnOnce(&Self, &mut Draft, &Current) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        let lock = self.disk.lock()?;
        self.nothing_waits()?;
        let current = Current::load(&self.disk)?;
        let mut draft = Draft::default();
        edit(self, &mut draft, &current)?;
        self.finish(&lock, Some(&current), draft, keys)
    }

    fn draft(&self) -> Result<Option<Draft>, Error> {
        let Some(text) = self.disk.read_waiting()? else {
            return Ok(None);
        };
        let draft = serde_json::from_str(&text);
        Ok(Some(
            draft.map_err(|error| super::Error::malformed("waiting.json", error))?,
        ))
    }

    fn nothing_waits(&self) -> Result<(), Error> {
        match self.disk.read_waiting()? {
            Some(_) => Err(Error::Waiting),
            None => Ok(()),
        }
    }

    fn put_root(&self, draft: &mut Draft, current: &Current, root: Root) -> Result<(), Error> {
        let root = Root {
            version: current.version("root") + 1,
            expires: self.until(self.expiries.root),
            ..root
        };
        draft.put("root", &root)
    }

    fn put_targets(&self, draft: &mut Draft, current: &Current, targets: Targets) -> Result<(), Error> {
        let targets = Targets {
            version: current.version("targets") + 1,
            expires: self.until(self.expiries.targets),
            ..targets
        };
        draft.put("targets", &targets)
    }

    fn put_publisher(&self, draft: &mut Draft, current: &Current, name: &str, role: Targets) -> Result<(), Error> {
        let role = Targets {
            version: current.version(name) + 1,
            expires: self.until(self.expiries.publisher),
            ..role
        };
        draft.put(name, &role)
    }

    fn put_target(&self, name: &str, from: impl std::io::Read, custom: Value) -> Result<Target, Error> {
        let (digest, length) = self.disk.put(name, from, self.archive_limit)?;
        Ok(Target {
            length,
            hashes: BTreeMap::from([("sha256".to_owned(), digest.hex())]),
            custom,
        })
    }

    /// A time from now, without fractions, which TUF does not have.
    fn until(&self, duration: SignedDuration) -> Time {
        let now = self.clock.now();
        let later = now.checked_add(duration).unwrap_or(Time::MAX);
        Time::from_second(later.as_second()).unwrap_or(now)
    }
}

fn ids(role: &RoleOf) -> Vec<String> {
    role.keys.iter().map(PublicKey::id).collect()
}

/// Gives a top-level role its keys, and drops the keys that no role has any more.
fn set_keys(root: &mut Root, name: &str, role: &RoleOf) {
    root.keys.extend(role.keys.iter().map(|key| (key.id(), key.to_json())));
    let named = RoleKeys {
        keyids: ids(role),
        threshold: role.threshold,
    };
    root.roles.insert(name.to_owned(), named);
    let used: Vec<_> = root.roles.values().flat_map(|role| role.keyids.clone()).collect();
    root.keys.retain(|id, _| used.contains(id));
}

/// Writes the publishers with the keys that they have, and with those of one more.
fn set_delegations(targets: &mut Targets, mut delegations: Delegations, more: &RoleOf) -> Result<(), Error> {
    delegations
        .keys
        .extend(more.keys.iter().map(|key| (key.id(), key.to_json())));
    let used: Vec<_> = delegations.roles.iter().flat_map(|role| role.keyids.clone()).collect();
    delegations.keys.retain(|id, _| used.contains(id));
    let written = serde_json::to_value(delegations);
    targets.delegations = Some(written.map_err(|error| super::Error::malformed("targets.json", error))?);
    Ok(())
}

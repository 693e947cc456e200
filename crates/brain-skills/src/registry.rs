//! Registries of skills: TUF repositories that are read with suspicion and written with care.
//!
//! A registry is a directory, or the same files behind any static HTTP server: `metadata` has the documents of TUF 1.0
//! with consistent snapshots, `targets` the archives as `name/version.tar.gz`. Its owners sign which publishers own
//! which names; each publisher signs its own skills. What the bytes of an archive are is not this module's matter.
//!
//! Invariants: nothing that is returned rests on a document that the pinned root does not lead to; what was trusted
//! never goes back, nor does the clock; one publisher's mistakes cost no other; every file, wait and retry is bounded.

pub mod author;
mod canonical;
mod error;
mod keys;
mod metadata;
mod names;
mod refresh;
pub mod revoked;
mod settings;
mod source;
mod state;
mod unsigned;
mod view;

use std::{
    fs::File,
    io::Seek as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

pub use self::{
    error::Error,
    keys::PublicKey,
    revoked::Revocations,
    settings::{Clock, Limits, Settings},
    source::{Proxy, Source},
    unsigned::Unsigned,
};
use self::{
    refresh::{Refresh, first_root, same_online_keys},
    source::{Files, Sink, Span},
    state::{Floor, Saved, State},
    view::View,
};
use crate::{digest::Digest, reference::SkillRef};

/// The root that trust in a registry begins with: the bytes of a `root.json` that came by a trusted way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRoot(String);

impl TrustRoot {
    /// Takes a `root.json`, once it is signed by its own quorum.
    pub fn new(json: &str) -> Result<Self, Error> {
        first_root(json)?;
        Ok(Self(json.to_owned()))
    }
}

/// A registry that is read.
#[derive(Debug)]
pub struct Registry {
    files: Files,
    settings: Settings,
    state: State,
    trusted: Mutex<Trusted>,
}

#[derive(Debug)]
struct Trusted {
    view: Option<Arc<View>>,
    seen: Timestamp,
}

/// A skill that was found, and what its bytes must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Which skill.
    pub reference: SkillRef,
    /// The digest of its unpacked tree.
    pub tree: Digest,
    /// The SHA-256 of its archive.
    pub archive: Digest,
    /// The size of its archive, in bytes.
    pub length: u64,
    /// Who published it; `targets` is the registry itself.
    pub publisher: String,
}

/// The state of one role of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// A role of TUF or the name of a publisher.
    pub name: String,
    /// Its version, if it could be read.
    pub version: Option<u64>,
    /// When it expires, if it could be read.
    pub expires: Option<Timestamp>,
    /// Whether it is expired now.
    pub expired: bool,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl Registry {
    /// Opens a registry with what was trusted before, in `state`, a directory for this registry alone.
    pub async fn open(source: &Source, trust: &TrustRoot, state: &Path, settings: Settings) -> Result<Self, Error> {
        let files = Files::open(source, &settings)?;
        let state = State::open(state)?;
        let lock = state.lock(settings.patience).await?;
        let seen = state.see(&lock, settings.clock.now())?;
        let saved = begin(&state, trust)?;
        state.save(&lock, &saved)?;
        let root = first_root(&saved.root)?;
        // A view that the newest root no longer leads to is gone: its keys were replaced.
        let view = saved
            .documents
            .as_ref()
            .and_then(|documents| View::verify(&root, documents).ok());
        Ok(Self {
            files,
            settings,
            state,
            trusted: Mutex::new(Trusted {
                view: view.map(Arc::new),
                seen,
            }),
        })
    }

    /// Reads what the registry says now. After an error, what was trusted before is still there until it expires.
    pub async fn refresh(&self) -> Result<(), Error> {
        let lock = self.state.lock(self.settings.patience).await?;
        let now = self.state.see(&lock, self.settings.clock.now())?;
        // Another process may have come further.
        let saved = self.state.load()?;
        let mut saved =
            saved.ok_or_else(|| Error::local(self.state.folder(), "its state was removed; open it again"))?;
        let refresh = Refresh {
            files: &self.files,
            limits: &self.settings.limits,
            state: &self.state,
            lock: &lock,
            now,
        };
        let whole = self.settings.refresh;
        let read = tokio::time::timeout(whole, refresh.run(&mut saved)).await;
        let read = read.unwrap_or_else(|_| {
            Err(Error::Unavailable {
                what: "the registry".to_owned(),
                reason: format!("the refresh took longer than {} ms", whole.as_millis()),
            })
        });
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        trusted.seen = trusted.seen.max(now);
        match read {
            Ok(view) => trusted.view = Some(Arc::new(view)),
            Err(error) => {
                // Keys that were replaced on the way take their view with them.
                let root = first_root(&saved.root)?;
                let kept = saved
                    .documents
                    .as_ref()
                    .and_then(|documents| View::verify(&root, documents).ok());
                trusted.view = kept.map(Arc::new);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The view and the time, if the view is not too old.
    fn current(&self) -> Result<(Arc<View>, Timestamp), Error> {
        let (view, now) = self.known()?;
        view.check_age(now)?;
        Ok((view, now))
    }

    fn known(&self) -> Result<(Arc<View>, Timestamp), Error> {
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        trusted.seen = trusted.seen.max(self.settings.clock.now());
        let view = trusted.view.clone().ok_or(Error::NotRefreshed)?;
        Ok((view, trusted.seen))
    }

    /// Finds a skill in what was trusted last; expired and revoked ones are refused.
    pub fn resolve(&self, skill: &SkillRef) -> Result<Resolved, Error> {
        let (view, now) = self.current()?;
        let offer = view.find(skill, now)?;
        let unusable = |reason: &str| Error::Publisher {
            skill: skill.clone(),
            publisher: offer.publisher.to_owned(),
            reason: reason.to_owned(),
        };
        let archive = offer
            .target
            .sha256()
            .ok_or_else(|| unusable("no SHA-256 of the archive is given"))?;
        let tree = offer
            .target
            .tree()
            .ok_or_else(|| unusable("no treeDigest of the skill is given"))?;
        if let Some(revocation) = view.revoked.of(skill, &tree) {
            return Err(Error::Revoked {
                skill: skill.clone(),
                time: revocation.time,
                reason: revocation.reason.clone(),
            });
        }
        Ok(Resolved {
            reference: skill.clone(),
            tree,
            archive,
            length: offer.target.length,
            publisher: offer.publisher.to_owned(),
        })
    }

    /// Reads the archive of a skill into a file without a name, which vanishes when it is closed.
    ///
    /// The file is returned at its beginning, after its length and digest were found right.
    pub async fn fetch(&self, resolved: &Resolved) -> Result<File, Error> {
        let target = names::target(&resolved.reference);
        let limit = self.settings.limits.archive;
        if resolved.length > limit {
            return Err(Error::TooLarge { what: target, limit });
        }
        let folder = self.state.folder();
        let local = |error: std::io::Error| Error::local(folder, error);
        let mut fetched = Fetched {
            file: tempfile::tempfile_in(folder).map_err(local)?,
            hash: sha2::Digest::new(),
            length: 0,
        };
        let stored = names::stored(&target, &resolved.archive.hex());
        self.files
            .copy(&stored, resolved.length, Span::Archive, &mut fetched)
            .await?;
        let digest: [u8; 32] = sha2::Digest::finalize(fetched.hash).into();
        if fetched.length != resolved.length || Digest::from(digest) != resolved.archive {
            return Err(Error::mixed(&target, "its length or SHA-256 differs"));
        }
        fetched.file.rewind().map_err(local)?;
        Ok(fetched.file)
    }

    /// All skills that can be had now, in order; revoked ones are not among them.
    pub fn list(&self) -> Result<Vec<SkillRef>, Error> {
        let (view, now) = self.current()?;
        let mut skills = view.skills(now);
        if !view.revoked.is_empty() {
            skills.retain(|skill| self.resolve(skill).is_ok());
        }
        Ok(skills)
    }

    /// The skills whose name contains a text.
    pub fn search(&self, text: &str) -> Result<Vec<SkillRef>, Error> {
        let mut skills = self.list()?;
        skills.retain(|skill| skill.name().contains(text));
        Ok(skills)
    }

    /// What was revoked, by the newest list that was trusted, however old it is.
    pub fn revocations(&self) -> Result<Revocations, Error> {
        Ok(self.known()?.0.revoked.clone())
    }

    /// The version and age of each role, also where they are expired.
    pub fn status(&self) -> Result<Vec<Role>, Error> {
        let (view, now) = self.known()?;
        Ok(view.roles(now))
    }
}

/// What is trusted at the start: what was trusted before, or the pinned root where it is newer.
fn begin(state: &State, trust: &TrustRoot) -> Result<Saved, Error> {
    let fresh = Saved::new(&trust.0);
    let Some(saved) = state.load()? else {
        return Ok(fresh);
    };
    if fresh.chain.iter().all(|root| saved.chain.contains(root)) {
        return Ok(saved);
    }
    let (old, new) = (first_root(&saved.root)?, first_root(&trust.0)?);
    if new.version <= old.version {
        return Err(Error::OtherRoot {
            path: state.folder().to_owned(),
        });
    }
    let floor = if same_online_keys(&old, &new)? {
        saved.floor
    } else {
        Floor::default()
    };
    Ok(Saved {
        floor,
        documents: saved.documents,
        ..fresh
    })
}

/// An archive while it is read.
struct Fetched {
    file: File,
    hash: sha2::Sha256,
    length: u64,
}

impl Sink for Fetched {
    fn begin(&mut self) -> std::io::Result<()> {
        self.hash = sha2::Digest::new();
        self.length = 0;
        self.file.begin()
    }

    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        sha2::Digest::update(&mut self.hash, bytes);
        self.length += bytes.len() as u64;
        self.file.take(bytes)
    }
}

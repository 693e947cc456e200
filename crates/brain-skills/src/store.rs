//! The install root: which skills are installed, and their files.
//!
//! ```text
//! objects/HEX/            the files of one tree, read-only, under the digest of all of them
//! listings/HEX            the text that the digest is made of, to name what was changed
//! skills/NAME/VERSION.json  what is installed: its digest, who published it, what was granted
//! skills.lock             the digest that each version ever installed has for good
//! staging/                what is not finished; nobody reads it
//! .install-audit.jsonl    each install and refusal, chained
//! ```
//!
//! Invariants: what is under a digest has that digest, and it is computed again over every byte at every launch (no
//! times or sizes are trusted instead); a version keeps its digest also after it was removed; an install is there as a
//! whole or not at all, whenever the machine stops; nothing that runs loses its files.

mod audit;
mod installing;
mod lockfile;
mod record;
mod revocations;
mod root;
mod staging;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use self::root::{Held, Root};
pub use self::{
    audit::{Action, Line},
    installing::{Expected, Install, Source},
    record::Record,
    revocations::Revocations,
};
use crate::{
    SkillRef,
    bundle::{self, Bounds, Bundle, directory::Directory, tree::Tree},
    digest::Digest,
    manifest::Manifest,
    policy::{Granted, Policy},
    refused::{Refused, Stage},
};

/// Why the store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The skill is refused; nothing of it stays.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No such skill is installed.
    #[error("{0} is not installed; install it first")]
    NotInstalled(SkillRef),
    /// It is installed, and what was asked for needs that it is not.
    #[error("{0} is installed; remove it first")]
    StillInstalled(SkillRef),
    /// Something in the store is not what was put there.
    #[error("{what} was damaged or changed: {problem}")]
    Damaged {
        /// What: a skill, or a file of the store.
        what: String,
        /// How, and what to do.
        problem: String,
    },
    /// Others have been using the store for too long.
    #[error("the store is in use by others; try again")]
    Busy,
    /// The machine failed.
    #[error("{what}")]
    Io {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Whether the same may work later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Busy | Self::Io { .. })
    }

    fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    fn damaged(what: impl ToString, problem: impl Into<String>) -> Self {
        Self::Damaged {
            what: what.to_string(),
            problem: problem.into(),
        }
    }
}

impl From<bundle::Error> for Error {
    fn from(error: bundle::Error) -> Self {
        match error {
            bundle::Error::Refused(refused) => Self::Refused(refused),
            bundle::Error::Io { what, source } => Self::Io { what, source },
        }
    }
}

/// An install root. Every process that opens it sees the same skills.
#[derive(Debug)]
pub struct Store {
    root: Root,
    bounds: Bounds,
}

/// A skill that may be launched now. While this is held, its files stay where they are.
#[derive(Debug)]
pub struct Launchable {
    /// The skill.
    pub reference: SkillRef,
    /// Where its files are.
    pub path: PathBuf,
    /// The digest of its files.
    pub digest: Digest,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What it may use.
    pub granted: Granted,
    /// Who published it, where signed metadata says so.
    pub publisher: Option<String>,
    directory: Directory,
}

impl Launchable {
    /// The directory of its files, which nobody can replace by another.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
}

impl Store {
    /// Opens a store, and makes it where there is none. What others left unfinished is removed.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(path: &Path, bounds: Bounds) -> Result<Self, Error> {
        let root = Root::open(path)?;
        let held = root.hold()?;
        staging::sweep(&root, &held)?;
        drop(held);
        Ok(Self { root, bounds })
    }

    /// What is installed, sorted.
    ///
    /// # Errors
    /// [`Error`].
    pub fn list(&self) -> Result<Vec<Record>, Error> {
        let _shared = self.root.share()?;
        record::all(&self.root)
    }

    /// What is known of an installed skill.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], and others.
    pub fn show(&self, reference: &SkillRef) -> Result<Record, Error> {
        let _shared = self.root.share()?;
        self.known(reference)
    }

    /// The digest that a version has for good, where it was ever installed.
    ///
    /// # Errors
    /// [`Error`].
    pub fn locked(&self, reference: &SkillRef) -> Result<Option<Digest>, Error> {
        let _shared = self.root.share()?;
        Ok(lockfile::read(&self.root)?.get(reference).copied())
    }

    /// Computes the digest of what is there again.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the files that differ.
    pub fn verify(&self, reference: &SkillRef) -> Result<Record, Error> {
        let (record, directory) = self.object(reference)?;
        self.intact(&record, &directory)?;
        Ok(record)
    }

    /// Gives a skill for a launch: verified now, by the policy and the revocations of now.
    ///
    /// # Errors
    /// [`Error::Refused`] where it may not run any more, [`Error::Damaged`] where it is not what was installed.
    pub fn launchable(
        &self,
        reference: &SkillRef,
        policy: &Policy,
        revocations: &Revocations,
    ) -> Result<Launchable, Error> {
        policy.admits(reference)?;
        revocations.check(reference, None)?;
        let (record, directory) = self.object(reference)?;
        revocations.check(reference, Some(record.digest))?;
        let taken = self.intact(&record, &directory)?;
        let bundle = Bundle::check(taken, reference)?;
        let granted = policy.judge(reference, record.publisher.as_deref(), &bundle.manifest)?;
        Ok(Launchable {
            reference: reference.clone(),
            path: self.root.path().join("objects").join(record.digest.hex()),
            digest: record.digest,
            manifest: bundle.manifest,
            granted,
            publisher: record.publisher,
            directory,
        })
    }

    /// Removes a skill. Its digest stays locked, and its files stay until [`Store::gc`].
    ///
    /// # Errors
    /// [`Error::NotInstalled`], and others.
    pub fn remove(&self, reference: &SkillRef) -> Result<(), Error> {
        let held = self.root.hold()?;
        let record = self.known(reference)?;
        record::remove(&self.root, reference)?;
        audit::append(&self.root, &held, Action::Removed, reference, Some(record.digest), None)
    }

    /// Lets a version that is not installed have other bytes than before.
    ///
    /// # Errors
    /// [`Error::StillInstalled`], and others.
    pub fn release(&self, reference: &SkillRef) -> Result<(), Error> {
        let held = self.root.hold()?;
        if record::read(&self.root, reference)?.is_some() {
            return Err(Error::StillInstalled(reference.clone()));
        }
        let mut locked = lockfile::read(&self.root)?;
        let Some(digest) = locked.remove(reference) else {
            return Ok(());
        };
        lockfile::write(&self.root, &held, &locked)?;
        audit::append(&self.root, &held, Action::Released, reference, Some(digest), None)
    }

    /// Removes the files that no installed skill and no running program needs, and says which.
    ///
    /// # Errors
    /// [`Error`].
    pub fn gc(&self) -> Result<Vec<Digest>, Error> {
        let held = self.root.hold()?;
        staging::sweep(&self.root, &held)?;
        let needed: BTreeSet<String> = record::all(&self.root)?
            .iter()
            .map(|record| record.digest.hex())
            .collect();
        let unreadable = Error::io("cannot read the objects of the store");
        let mut gone = Vec::new();
        for name in self.root.objects.names(usize::MAX).map_err(unreadable)? {
            let name = name.to_string_lossy().into_owned();
            let Ok(digest) = format!("sha256:{name}").parse::<Digest>() else {
                continue;
            };
            if !needed.contains(&name) && staging::discard(&self.root, &held, &name)? {
                gone.push(digest);
            }
        }
        Ok(gone)
    }

    /// Reads the audit lines, and checks that none was changed or cut off.
    ///
    /// # Errors
    /// [`Error::Damaged`], and others.
    pub fn audit(&self) -> Result<Vec<Line>, Error> {
        let _shared = self.root.share()?;
        audit::read(&self.root)
    }

    fn known(&self, reference: &SkillRef) -> Result<Record, Error> {
        record::read(&self.root, reference)?.ok_or_else(|| Error::NotInstalled(reference.clone()))
    }

    /// What is installed, and its directory with a hold on it.
    fn object(&self, reference: &SkillRef) -> Result<(Record, Directory), Error> {
        let _shared = self.root.share()?;
        let record = self.known(reference)?;
        if lockfile::read(&self.root)?.get(reference) != Some(&record.digest) {
            return Err(Error::damaged(
                reference,
                "its record and skills.lock disagree; install it again",
            ));
        }
        let directory = match self.root.objects.child(&record.digest.hex()) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::damaged(reference, "its files are gone; install it again"));
            }
            Err(error) => return Err(Error::io("cannot open the files of a skill")(error)),
        };
        // Whoever removes or replaces files holds the whole store, which is shared now.
        root::share(&directory).map_err(Error::io("cannot hold the files of a skill"))?;
        Ok((record, directory))
    }

    /// The files, if they are what was installed.
    fn intact(&self, record: &Record, directory: &Directory) -> Result<bundle::Taken, Error> {
        let again = "; install it again";
        let taken = match bundle::take_directory(directory, None, self.bounds) {
            Err(bundle::Error::Refused(refused)) => {
                return Err(Error::damaged(&record.reference, refused.reason + again));
            }
            taken => taken?,
        };
        if taken.tree.digest() == record.digest {
            return Ok(taken);
        }
        let name = record.digest.hex();
        let listing = self.root.read(&self.root.listings, &name, 64 << 20)?;
        let text = String::from_utf8_lossy(listing.as_deref().unwrap_or_default()).into_owned();
        let problem = match Tree::from_listing(&text, record.digest) {
            Err(problem) => problem,
            Ok(whole) => {
                let told: Vec<String> = whole
                    .differences(&taken.tree)
                    .iter()
                    .take(20)
                    .map(ToString::to_string)
                    .collect();
                told.join(", ")
            }
        };
        Err(Error::damaged(&record.reference, problem + again))
    }

    fn refusal(&self, reference: &SkillRef, refused: &Refused) -> Result<(), Error> {
        let held: Held = self.root.hold()?;
        audit::append(&self.root, &held, Action::Refused, reference, None, Some(refused))
    }
}

fn locked_otherwise(reference: &SkillRef, locked: Digest, found: Digest) -> Refused {
    let reason = format!(
        "{reference} is locked to {locked}, but these files have {found}: a version never changes; publish another \
         version, or remove this one and release its lock"
    );
    Refused::at(Stage::Reference, reason)
}

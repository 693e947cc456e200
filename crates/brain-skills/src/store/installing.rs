//! One install, from the reference to the record.
//!
//! Invariants: nothing is fetched or unpacked for what policy refuses by name; whatever fails before the last step leaves the
//! store as it was; each refusal leaves a line in the audit file.

use std::{cmp::Ordering, io::Read, path::Path};

use jiff::Timestamp;

use super::{
    Error, Record, Revocations, Store,
    audit::{self, Action},
    locked_otherwise, lockfile, record,
    staging::{self, Staging},
};
use crate::{
    SkillRef,
    bundle::{self, Bundle, archive, directory::Directory},
    digest::Digest,
    policy::{Granted, Policy},
    refused::{Refused, Stage},
};

/// Where the files of a skill come from.
pub enum Source<'a> {
    /// An archive.
    Archive(&'a mut (dyn Read + Send)),
    /// A directory of this machine.
    Directory(&'a Path),
}

/// What is known of the files before they are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Signed metadata vouches for exactly these files.
    Signed {
        /// Who published them.
        publisher: String,
        /// The digest of their tree.
        digest: Digest,
    },
    /// Nobody vouches for them.
    Unsigned {
        /// The digest of their tree, where whoever installs them knows it.
        digest: Option<Digest>,
    },
}

impl Expected {
    fn publisher(&self) -> Option<&str> {
        match self {
            Self::Signed { publisher, .. } => Some(publisher),
            Self::Unsigned { .. } => None,
        }
    }

    fn digest(&self) -> Option<Digest> {
        match self {
            Self::Signed { digest, .. } => Some(*digest),
            Self::Unsigned { digest } => *digest,
        }
    }
}

/// What is to be installed, and by which rules.
#[derive(Debug, Clone, Copy)]
pub struct Install<'a> {
    /// The skill.
    pub reference: &'a SkillRef,
    /// The rules.
    pub policy: &'a Policy,
    /// What was revoked.
    pub revocations: &'a Revocations,
    /// What is known of its files.
    pub expected: &'a Expected,
    /// What its source is called in the record.
    pub source: &'a str,
    /// Whether a newer version may be installed already.
    pub allow_downgrade: bool,
}

impl Store {
    /// Refuses what need not be fetched, because of its reference or of what is known of it.
    ///
    /// # Errors
    /// [`Error::Refused`], which leaves a line in the audit file.
    pub fn admit(&self, install: &Install<'_>) -> Result<(), Error> {
        self.told(install.reference, self.admitted(install))
    }

    /// Installs a skill; the same files again change nothing but the record.
    ///
    /// # Errors
    /// [`Error`]; then what was installed before is as it was.
    pub fn install(&self, install: &Install<'_>, from: Source<'_>) -> Result<Record, Error> {
        self.told(install.reference, self.installed(install, from))
    }

    /// Writes down that a skill was refused elsewhere, such as while it was resolved or downloaded.
    ///
    /// # Errors
    /// [`Error`], where it cannot be written.
    pub fn refuse(&self, reference: &SkillRef, refused: &Refused) -> Result<(), Error> {
        self.refusal(reference, refused)
    }

    fn told<T>(&self, reference: &SkillRef, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Refused(refused)) = &result {
            self.refusal(reference, refused)?;
        }
        result
    }

    fn admitted(&self, install: &Install<'_>) -> Result<(), Error> {
        install.policy.admits(install.reference)?;
        install
            .revocations
            .check(install.reference, install.expected.digest())?;
        if let (Some(expected), Some(locked)) = (install.expected.digest(), self.locked(install.reference)?)
            && expected != locked
        {
            return Err(locked_otherwise(install.reference, locked, expected).into());
        }
        let _shared = self.root.share()?;
        self.no_downgrade(install)
    }

    fn installed(&self, install: &Install<'_>, from: Source<'_>) -> Result<Record, Error> {
        self.admitted(install)?;
        let staging = Staging::new(&self.root)?;
        let to = Some(staging.directory());
        let taken = match from {
            Source::Archive(archive) => archive::unpack(archive, to, self.bounds)?,
            Source::Directory(path) => {
                let directory = Directory::open(path).map_err(Error::io("cannot open the directory of the skill"))?;
                bundle::take_directory(&directory, to, self.bounds)?
            }
        };
        let bundle = Bundle::check(taken, install.reference)?;
        let digest = bundle.tree.digest();
        if let Some(expected) = install.expected.digest().filter(|expected| *expected != digest) {
            let reason = format!("its files have {digest}, but {expected} was expected; fetch them again");
            return Err(Refused::at(Stage::Checksum, reason).into());
        }
        install.revocations.check(install.reference, Some(digest))?;
        let granted = install
            .policy
            .judge(install.reference, install.expected.publisher(), &bundle.manifest)?;
        staging
            .directory()
            .seal()
            .map_err(Error::io("cannot write the files of the skill"))?;
        self.commit(install, staging, &bundle, granted)
    }

    fn commit(
        &self,
        install: &Install<'_>,
        staging: Staging<'_>,
        bundle: &Bundle,
        granted: Granted,
    ) -> Result<Record, Error> {
        let held = self.root.hold()?;
        audit::ready(&self.root)?;
        let digest = bundle.tree.digest();
        let mut locked = lockfile::read(&self.root)?;
        if let Some(locked) = locked.get(install.reference).filter(|locked| **locked != digest) {
            return Err(locked_otherwise(install.reference, *locked, digest).into());
        }
        self.no_downgrade(install)?;
        let hex = digest.hex();
        self.root
            .replace(&held, &self.root.listings, &hex, bundle.tree.listing().as_bytes())?;
        if self.is_there(bundle)? {
            drop(staging);
        } else {
            if self.root.objects.child(&hex).is_ok() {
                staging::set_aside(&self.root, &held, &hex)?;
            }
            staging
                .keep(&held, &self.root.objects, &hex)
                .map_err(Error::io("cannot put the files of the skill in their place"))?;
        }
        let record = Record {
            reference: install.reference.clone(),
            digest,
            publisher: install.expected.publisher().map(str::to_owned),
            source: install.source.chars().take(1000).collect(),
            installed_at: Timestamp::now(),
            granted,
        };
        // The lock comes first: a record without its lock would be one that may change.
        if locked.insert(install.reference.clone(), digest).is_none() {
            lockfile::write(&self.root, &held, &locked)?;
        }
        record::write(&self.root, &held, &record)?;
        audit::append(
            &self.root,
            &held,
            Action::Installed,
            install.reference,
            Some(digest),
            None,
        )?;
        Ok(record)
    }

    /// Whether these files are there already, and whole.
    fn is_there(&self, bundle: &Bundle) -> Result<bool, Error> {
        match self.root.objects.child(&bundle.tree.digest().hex()) {
            Err(_) => Ok(false),
            Ok(directory) => match bundle::take_directory(&directory, None, self.bounds) {
                Ok(found) => Ok(found.tree == bundle.tree),
                Err(bundle::Error::Refused(_)) => Ok(false),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn no_downgrade(&self, install: &Install<'_>) -> Result<(), Error> {
        if install.allow_downgrade {
            return Ok(());
        }
        let installed = record::versions(&self.root, install.reference.name())?;
        // What is installed may be installed again.
        if installed.iter().any(|record| record.reference == *install.reference) {
            return Ok(());
        }
        let newer = installed.iter().find(|record| {
            let order = record.reference.version().cmp_precedence(install.reference.version());
            order == Ordering::Greater
        });
        match newer {
            None => Ok(()),
            Some(newer) => {
                let reason = format!(
                    "{} is installed, which is newer than {}; allow a downgrade if that is meant",
                    newer.reference, install.reference
                );
                Err(Refused::at(Stage::Policy, reason).into())
            }
        }
    }
}

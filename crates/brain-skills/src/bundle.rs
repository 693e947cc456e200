//! A skill as files: where they come from, what they must be, and what stands for all of them.
//!
//! A bundle comes as an archive or as a directory. Either way its files are hashed while they are written below a
//! directory of ours, and only what was hashed is looked at afterwards.
//!
//! Invariants: a [`Bundle`] has a valid manifest of the skill that was asked for, an entry point that is there, each file
//! that the manifest lists and, where it lists any, no other, and the checksum that it states.

pub mod archive;
pub mod directory;
pub(crate) mod intake;
pub mod path;
pub mod tree;

use std::{io, path::Path};

pub use self::intake::Taken;
use self::{
    directory::Directory,
    intake::Intake,
    tree::{SKILL_MD, Tree},
};
use crate::{
    SkillRef,
    manifest::{Entrypoint, Manifest},
    refused::{Refused, Stage},
    skill_md::SkillMd,
};

/// The most that a skill may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Files and directories.
    pub entries: u32,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of the compressed archive.
    pub packed: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            entries: 20_000,
            bytes: 256 << 20,
            packed: 128 << 20,
        }
    }
}

/// Why files are no bundle.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The files are refused for what they are.
    #[error(transparent)]
    Refused(#[from] Refused),
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
    pub(crate) fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// The files of a skill, checked.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The files.
    pub tree: Tree,
    /// The manifest.
    pub manifest: Manifest,
    /// What it tells agents, where it has that.
    pub skill_md: Option<SkillMd>,
}

impl Bundle {
    /// Checks files that came in.
    ///
    /// # Errors
    /// [`Refused`] at the stages of the manifest, the `SKILL.md` and the checksum.
    pub fn check(taken: Taken, reference: &SkillRef) -> Result<Self, Refused> {
        Self::of(taken, |bytes| Manifest::check(bytes, reference))
    }

    /// Checks the files of whatever skill the manifest names.
    ///
    /// # Errors
    /// As [`Bundle::check`].
    pub fn read(taken: Taken) -> Result<Self, Refused> {
        Self::of(taken, Manifest::read)
    }

    fn of(
        taken: Taken,
        read: impl FnOnce(&[u8]) -> Result<Manifest, crate::manifest::Invalid>,
    ) -> Result<Self, Refused> {
        let refuse = |reason: String| Refused::at(Stage::Manifest, reason);
        let bytes = taken
            .manifest
            .ok_or_else(|| refuse("there is no manifest.json at its top; add one".to_owned()))?;
        let manifest = read(&bytes).map_err(|invalid| refuse(invalid.to_string()))?;
        let skill_md = taken
            .skill_md
            .map(|bytes| SkillMd::check(&bytes, manifest.reference()))
            .transpose()
            .map_err(|error| Refused::at(Stage::SkillMd, format!("{SKILL_MD}: {error}")))?;
        let tree = taken.tree;
        entrypoint(&tree, manifest.entrypoint()).map_err(refuse)?;
        files(&tree, &manifest).map_err(refuse)?;
        if let Some(stated) = manifest.checksum() {
            let found = tree.checksum(manifest.canonical());
            if found != stated {
                let reason = format!("its manifest states the checksum {stated}, but its files have {found}");
                return Err(Refused::at(Stage::Checksum, reason));
            }
        }
        Ok(Self {
            tree,
            manifest,
            skill_md,
        })
    }
}

/// Reads the files of a directory without copying them.
///
/// # Errors
/// [`Error`].
pub fn read_directory(path: &Path, bounds: Bounds) -> Result<Taken, Error> {
    let directory = Directory::open(path).map_err(Error::io("cannot open the directory of the skill"))?;
    take_directory(&directory, None, bounds)
}

/// Reads the files of an archive without writing them.
///
/// # Errors
/// [`Error`].
pub fn read_archive(from: impl io::Read, bounds: Bounds) -> Result<Taken, Error> {
    archive::unpack(from, None, bounds)
}

pub(crate) fn take_directory(
    from: &Directory,
    destination: Option<&Directory>,
    bounds: Bounds,
) -> Result<Taken, Error> {
    let mut intake = Intake::new(destination, bounds);
    intake.everything(from)?;
    Ok(intake.finish())
}

fn entrypoint(tree: &Tree, entrypoint: &Entrypoint) -> Result<(), String> {
    let Entrypoint::File { path, .. } = entrypoint else {
        return Ok(());
    };
    match tree.get(path) {
        None => Err(format!(
            "its entrypoint {path} is no file of it; add the file, or name another"
        )),
        Some(file) if !file.executable => Err(format!("its entrypoint {path} cannot be executed; chmod 755 it")),
        Some(_) => Ok(()),
    }
}

fn files(tree: &Tree, manifest: &Manifest) -> Result<(), String> {
    let Some(listed) = manifest.files() else {
        return Ok(());
    };
    let present = tree.files().filter(|(path, _)| path.as_str() != tree::MANIFEST);
    for (path, file) in present {
        match listed.get(path) {
            None => return Err(format!("the manifest does not list {path}; list it or remove it")),
            Some(digest) if *digest != file.digest => {
                return Err(format!("{path} is not the file that the manifest lists"));
            }
            Some(_) => {}
        }
    }
    match listed.keys().find(|path| tree.get(path).is_none()) {
        Some(path) => Err(format!(
            "the manifest lists {path}, which is not there; add it or remove it from the list"
        )),
        None => Ok(()),
    }
}

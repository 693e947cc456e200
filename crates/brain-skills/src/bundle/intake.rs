//! Takes the files of a skill in, one by one: hashes them, bounds them, and writes them where they are to be.
//!
//! Invariants: what was hashed is what was written, because both see the same buffer; a file is made anew below the
//! destination or not at all; more entries or bytes than the bounds allow are refused before they are written; the
//! manifest that is read later is the bytes that were hashed here.

use std::{
    collections::BTreeMap,
    ffi::CStr,
    io::{self, Read, Write},
};

use rustix::fs::{self, FileType, Mode, Stat};
use sha2::{Digest as _, Sha256};

use super::{
    Bounds, Error,
    directory::{Directory, Found},
    path::{CanonicalPath, Malformed, Names},
    tree::{File, MANIFEST, SKILL_MD, Tree},
};
use crate::refused::{Refused, Stage};

/// The largest file of those that are read as text.
const MAX_READ: u64 = 64 << 10;
/// The mode bits beyond reading, writing and executing: setuid, setgid and sticky.
const SPECIAL: u32 = 0o7000;

/// The files of a skill as they come in.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    destination: Option<&'a Directory>,
    bounds: Bounds,
    names: Names,
    entries: u32,
    bytes: u64,
    tree: Tree,
    read: BTreeMap<&'static str, Vec<u8>>,
}

/// All files of a skill, and the bytes of those that say what it is.
#[derive(Debug)]
pub struct Taken {
    /// The files.
    pub tree: Tree,
    /// The bytes of `manifest.json`, where there is one.
    pub manifest: Option<Vec<u8>>,
    /// The bytes of `SKILL.md`, where there is one.
    pub skill_md: Option<Vec<u8>>,
}

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        refused(error.to_string())
    }
}

pub(crate) fn refused(reason: impl Into<String>) -> Error {
    Error::Refused(Refused::at(Stage::Archive, reason))
}

impl<'a> Intake<'a> {
    /// Files are written to the destination, which is empty; without one they are only hashed.
    pub(crate) fn new(destination: Option<&'a Directory>, bounds: Bounds) -> Self {
        Self {
            destination,
            bounds,
            names: Names::default(),
            entries: 0,
            bytes: 0,
            tree: Tree::default(),
            read: BTreeMap::new(),
        }
    }

    /// Counts one more entry of whatever kind.
    pub(crate) fn entry(&mut self) -> Result<(), Error> {
        self.entries += 1;
        if self.entries > self.bounds.entries {
            return Err(refused(format!(
                "it has more than {} files and directories; pack less",
                self.bounds.entries
            )));
        }
        Ok(())
    }

    /// Takes note of a directory. It is made when a file in it comes.
    pub(crate) fn directory(&mut self, path: &CanonicalPath) -> Result<(), Error> {
        Ok(self.names.add_directory(path)?)
    }

    /// Takes a file of exactly this size.
    pub(crate) fn file(
        &mut self,
        path: CanonicalPath,
        executable: bool,
        size: u64,
        from: &mut dyn Read,
    ) -> Result<(), Error> {
        self.names.add_file(&path)?;
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.bounds.bytes {
            return Err(refused(format!(
                "its files have more than {} bytes; pack less",
                self.bounds.bytes
            )));
        }
        let kept = [MANIFEST, SKILL_MD].into_iter().find(|name| *name == path.as_str());
        if let Some(name) = kept
            && size > MAX_READ
        {
            let stage = if name == MANIFEST {
                Stage::Manifest
            } else {
                Stage::SkillMd
            };
            let reason = format!("{name} has {size} bytes, at most {MAX_READ} are allowed");
            return Err(Error::Refused(Refused::at(stage, reason)));
        }
        let mut to = self
            .create(&path)
            .map_err(Error::io("cannot create a file of the skill"))?;
        let mut copy = Vec::new();
        let mut hash = Sha256::new();
        let mut left = size;
        let mut buffer = [0; 16 << 10];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let count = match from.read(&mut buffer[..wanted]) {
                Ok(0) => return Err(refused(format!("{path} ends before its {size} bytes are there"))),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(refused(format!("{path} cannot be read: {error}"))),
            };
            let bytes = &buffer[..count];
            hash.update(bytes);
            if kept.is_some() {
                copy.extend_from_slice(bytes);
            }
            if let Some(to) = &mut to {
                to.write_all(bytes)
                    .map_err(Error::io("cannot write a file of the skill"))?;
            }
            left -= count as u64;
        }
        if let Some(to) = to {
            let mode = if executable { 0o555 } else { 0o444 };
            fs::fchmod(&to, Mode::from_raw_mode(mode))
                .and_then(|()| fs::fsync(&to))
                .map_err(|error| Error::io("cannot write a file of the skill")(error.into()))?;
        }
        if let Some(name) = kept {
            self.read.insert(name, copy);
        }
        let digest = <[u8; 32]>::from(hash.finalize()).into();
        let file = File {
            executable,
            size,
            digest,
        };
        self.tree.add(path, file);
        Ok(())
    }

    fn create(&self, path: &CanonicalPath) -> io::Result<Option<std::fs::File>> {
        let Some(destination) = self.destination else {
            return Ok(None);
        };
        let mut below: Option<Directory> = None;
        let mut parts = path.parts().peekable();
        while let Some(part) = parts.next() {
            let here = below.as_ref().unwrap_or(destination);
            if parts.peek().is_none() {
                return here.create_file(part).map(Some);
            }
            below = Some(here.child_or_create(part)?);
        }
        Ok(None)
    }

    /// Takes everything that is below a directory of the host.
    pub(crate) fn everything(&mut self, from: &Directory) -> Result<(), Error> {
        self.below(from, "")
    }

    fn below(&mut self, from: &Directory, prefix: &str) -> Result<(), Error> {
        let unreadable = Error::io("cannot read the directory of the skill");
        for name in from.names(self.bounds.entries as usize).map_err(unreadable)? {
            self.entry()?;
            let path = CanonicalPath::from_bytes(&[prefix.as_bytes(), name.as_bytes()].concat())?;
            self.one(from, &name, path)?;
        }
        Ok(())
    }

    fn one(&mut self, from: &Directory, name: &CStr, path: CanonicalPath) -> Result<(), Error> {
        match from.find(name).map_err(Error::io("cannot open a file of the skill"))? {
            Found::Directory(below) => {
                self.directory(&path)?;
                self.below(&below, &format!("{path}/"))
            }
            Found::File(mut file, stat) => {
                refuse_privileges(&path, &file, &stat)?;
                let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
                let executable = stat.st_mode & 0o100 != 0;
                self.file(path.clone(), executable, size, &mut file)?;
                match file.read(&mut [0]) {
                    Ok(0) => Ok(()),
                    _ => Err(refused(format!("{path} was changed while it was read; try again"))),
                }
            }
            Found::Odd(kind) => Err(refused(format!(
                "{path} is {}; only files and directories can be part of a skill",
                named(kind)
            ))),
        }
    }

    /// Everything that came in.
    pub(crate) fn finish(mut self) -> Taken {
        Taken {
            tree: self.tree,
            manifest: self.read.remove(MANIFEST),
            skill_md: self.read.remove(SKILL_MD),
        }
    }
}

fn named(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "of an unknown kind",
    }
}

fn refuse_privileges(path: &CanonicalPath, file: &std::fs::File, stat: &Stat) -> Result<(), Error> {
    if stat.st_mode & SPECIAL != 0 {
        return Err(refused(format!(
            "{path} has setuid, setgid or sticky bits; chmod them away"
        )));
    }
    // Another name of it may be outside, for reading what is not the skill's or for changing it afterwards.
    if stat.st_nlink > 1 {
        return Err(refused(format!(
            "{path} is a hard link to a file with another name; make a copy of it"
        )));
    }
    match fs::fgetxattr(file, "security.capability", &mut [0_u8; 64][..]) {
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOTSUP) => Ok(()),
        Ok(_) | Err(rustix::io::Errno::RANGE) => Err(refused(format!(
            "{path} has file capabilities; remove them with setcap -r"
        ))),
        Err(error) => Err(Error::io("cannot ask for the capabilities of a file")(error.into())),
    }
}

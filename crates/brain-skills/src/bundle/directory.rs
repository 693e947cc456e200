//! Directories as descriptors: what is opened, made and removed relative to them.
//!
//! Invariants: no symbolic link is ever followed below a [`Directory`]; whoever replaces a part of a path meanwhile changes
//! nothing, because each step starts from the descriptor of the one before; what is created did not exist before.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
};

use super::path::CanonicalPath;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open directory.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// Something that is in a directory.
#[derive(Debug)]
pub(crate) enum Found {
    /// A directory.
    Directory(Directory),
    /// A file, and what it was like when it was opened.
    File(File, fs::Stat),
    /// Anything else.
    Odd(FileType),
}

impl Directory {
    /// Opens a directory of the host by its path, of which only the last part must not be a symbolic link.
    ///
    /// # Errors
    /// It cannot be opened, or is no directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(fs::open(path, DIRECTORY, Mode::empty())?))
    }

    /// Opens a directory in this one.
    pub(crate) fn child(&self, name: &str) -> io::Result<Self> {
        Ok(Self(fs::openat(&self.0, name, DIRECTORY, Mode::empty())?))
    }

    /// Makes a directory in this one that nobody else may enter.
    pub(crate) fn create(&self, name: &str) -> io::Result<Self> {
        fs::mkdirat(&self.0, name, Mode::RWXU)?;
        self.child(name)
    }

    /// Opens a directory in this one, which is made where it is not there.
    pub(crate) fn child_or_create(&self, name: &str) -> io::Result<Self> {
        match fs::mkdirat(&self.0, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => self.child(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a file in this directory.
    pub(crate) fn create_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Opens whatever has this name, without waiting for it.
    pub(crate) fn find(&self, name: &CStr) -> io::Result<Found> {
        // A device does things when it is opened, so it is looked at first; what is opened is looked at again.
        let kind = FileType::from_raw_mode(fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        if !matches!(kind, FileType::RegularFile | FileType::Directory) {
            return Ok(Found::Odd(kind));
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match fs::openat(&self.0, name, flags, Mode::empty()) {
            Err(Errno::LOOP) => return Ok(Found::Odd(FileType::Symlink)),
            opened => opened?,
        };
        let stat = fs::fstat(&opened)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Found::Directory(Self(opened)),
            FileType::RegularFile => Found::File(opened.into(), stat),
            other => Found::Odd(other),
        })
    }

    /// Opens the file with this path for reading.
    pub(crate) fn open_file(&self, path: &CanonicalPath) -> io::Result<File> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "it is no file any more");
        let mut below: Option<Self> = None;
        let mut parts = path.parts().peekable();
        while let Some(part) = parts.next() {
            let name = CString::new(part)?;
            match (below.as_ref().unwrap_or(self).find(&name)?, parts.peek()) {
                (Found::File(file, _), None) => return Ok(file),
                (Found::Directory(next), Some(_)) => below = Some(next),
                _ => return Err(gone()),
            }
        }
        Err(gone())
    }

    /// The names in it, sorted; at most this many and one.
    pub(crate) fn names(&self, most: usize) -> io::Result<Vec<CString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            names.push(entry.file_name().to_owned());
            if names.len() > most {
                break;
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes what has this name, and everything in it.
    pub(crate) fn remove(&self, name: &CStr) -> io::Result<()> {
        match fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(Errno::NOENT) => return Ok(()),
            done => return Ok(done?),
        }
        let below = Self(fs::openat(&self.0, name, DIRECTORY, Mode::empty())?);
        fs::fchmod(&below.0, Mode::RWXU)?;
        for entry in below.names(usize::MAX)? {
            below.remove(&entry)?;
        }
        Ok(fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Moves what is here to another directory of the same file system; an empty directory or a file there is replaced.
    pub(crate) fn rename(&self, name: &str, to: &Self, as_name: &str) -> io::Result<()> {
        Ok(fs::renameat(&self.0, name, &to.0, as_name)?)
    }

    /// Makes the directories below this one, and not itself, read-only, and writes all of them to the disk.
    pub(crate) fn seal(&self) -> io::Result<()> {
        for name in self.names(usize::MAX)? {
            if let Found::Directory(below) = self.find(&name)? {
                below.seal()?;
                below.read_only()?;
            }
        }
        self.sync()
    }

    /// Makes this directory read-only.
    pub(crate) fn read_only(&self) -> io::Result<()> {
        Ok(fs::fchmod(&self.0, Mode::from_raw_mode(0o555))?)
    }

    /// Makes this directory one that its owner may change.
    pub(crate) fn writable(&self) -> io::Result<()> {
        Ok(fs::fchmod(&self.0, Mode::RWXU)?)
    }

    /// Writes the directory itself to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(&self.0)?)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

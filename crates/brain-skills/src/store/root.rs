//! The directories of a store, and who may change them when.
//!
//! Invariants: whoever changes records, locks or objects has a [`Held`], of which there is one at a time among all
//! processes; a file is replaced as a whole, and is on the disk before it replaces another; no wait is endless.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, openat},
    io::Errno,
};

use super::Error;
use crate::bundle::directory::Directory;

/// How long others are waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is tried meanwhile.
const AGAIN: Duration = Duration::from_millis(5);

/// The directories of a store.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    pub(super) top: Directory,
    pub(super) objects: Directory,
    pub(super) listings: Directory,
    pub(super) skills: Directory,
    pub(super) staging: Directory,
}

/// The right to change the store.
#[derive(Debug)]
pub(super) struct Held(#[allow(dead_code, reason = "closing it gives the right back")] File);

/// The right to rely on nobody changing the store.
#[derive(Debug)]
pub(super) struct Shared(#[allow(dead_code, reason = "closing it gives the right back")] File);

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::DirBuilderExt as _;
        let cannot = Error::io("cannot open the install root");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(&cannot)?;
        // By its real path, so that what is mounted later is what was opened now.
        let path = path.canonicalize().map_err(&cannot)?;
        let top = Directory::open(&path).map_err(&cannot)?;
        let below = |name| top.child_or_create(name).map_err(&cannot);
        let (objects, listings) = (below("objects")?, below("listings")?);
        let (skills, staging) = (below("skills")?, below("staging")?);
        top.sync().map_err(&cannot)?;
        Ok(Self {
            path,
            top,
            objects,
            listings,
            skills,
            staging,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn hold(&self) -> Result<Held, Error> {
        self.lock(FlockOperation::NonBlockingLockExclusive).map(Held)
    }

    pub(super) fn share(&self) -> Result<Shared, Error> {
        self.lock(FlockOperation::NonBlockingLockShared).map(Shared)
    }

    /// A descriptor of its own each time: two of one process exclude each other as those of two do.
    fn lock(&self, how: FlockOperation) -> Result<File, Error> {
        let cannot = Error::io("cannot lock the store");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.top, ".lock", flags, Mode::RUSR | Mode::WUSR).map_err(|error| cannot(error.into()))?;
        let until = Instant::now() + PATIENCE;
        loop {
            match flock(&file, how) {
                Ok(()) => return Ok(file.into()),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => std::thread::sleep(AGAIN),
                Err(Errno::WOULDBLOCK | Errno::INTR) => return Err(Error::Busy),
                Err(error) => return Err(cannot(error.into())),
            }
        }
    }

    /// The bytes of a file of the store, at most so many.
    pub(super) fn read(&self, directory: &Directory, name: &str, most: u64) -> Result<Option<Vec<u8>>, Error> {
        let cannot = Error::io("cannot read a file of the store");
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: File = match openat(directory, name, flags, Mode::empty()) {
            Ok(file) => file.into(),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(cannot(error.into())),
        };
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() as u64 > most {
            return Err(Error::damaged(name, format!("it has more than {most} bytes")));
        }
        Ok(Some(bytes))
    }

    /// Puts a file in its place as a whole.
    pub(super) fn replace(&self, _held: &Held, directory: &Directory, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let written = || -> io::Result<()> {
            let draft = random()?;
            let mut file = self.staging.create_file(&draft)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            self.staging.rename(&draft, directory, name)?;
            directory.sync()
        };
        written().map_err(Error::io("cannot write a file of the store"))
    }
}

/// Holds a directory against being removed, as long as it is open.
pub(super) fn share(directory: impl AsFd) -> io::Result<()> {
    Ok(flock(directory, FlockOperation::NonBlockingLockShared)?)
}

/// Holds a directory for its owner alone; whether nobody else holds it.
pub(super) fn own(directory: impl AsFd) -> io::Result<bool> {
    match flock(directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A name that nobody else has.
pub(super) fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

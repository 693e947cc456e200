//! What a reader of a registry remembers between runs, in a directory of its own.
//!
//! Invariants: each file is replaced as a whole, so that a crash leaves the old one; the state is changed only under
//! the lock; the clock never goes back: the latest time seen is kept and is the least that "now" means. Where the clock
//! was wrong and far ahead once, removing `seen.json` forgets that.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Error, view::Documents};
use crate::digest::Digest;

/// More than any state that the limits on documents allow.
const MAX_BYTES: u64 = 1 << 30;
const FORMAT: u32 = 1;
/// How often a lock that another process holds is tried again.
const POLL: Duration = Duration::from_millis(20);

/// The least versions that may be trusted from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Floor {
    pub(super) timestamp: u64,
    pub(super) snapshot: u64,
    pub(super) roles: BTreeMap<String, u64>,
}

/// What is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    pub(super) format: u32,
    /// Every root from the pinned one to the newest, so that each of them may be pinned later.
    pub(super) chain: Vec<Digest>,
    /// The newest root.
    pub(super) root: String,
    pub(super) floor: Floor,
    pub(super) documents: Option<Documents>,
}

impl Saved {
    pub(super) fn new(root: &str) -> Self {
        Self {
            format: FORMAT,
            chain: vec![Digest::of(root.as_bytes())],
            root: root.to_owned(),
            floor: Floor::default(),
            documents: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Seen {
    latest: Timestamp,
}

/// The directory.
#[derive(Debug)]
pub(super) struct State {
    folder: PathBuf,
}

/// Held while the state is changed.
pub(super) struct Lock {
    _file: File,
}

impl State {
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|error| Error::local(folder, error))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn trusted(&self) -> PathBuf {
        self.folder.join("trusted.json")
    }

    /// Waits for the lock among processes, for at most this long.
    pub(super) async fn lock(&self, patience: Duration) -> Result<Lock, Error> {
        let path = self.folder.join("lock");
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|error| Error::local(&path, error))?;
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(POLL).await;
                }
                Err(TryLockError::WouldBlock) => return Err(Error::Busy { path }),
                Err(TryLockError::Error(error)) => return Err(Error::local(&path, error)),
            }
        }
    }

    /// What was trusted last, if anything was.
    pub(super) fn load(&self) -> Result<Option<Saved>, Error> {
        let path = self.trusted();
        let saved: Option<Saved> = read(&path)?;
        match saved {
            Some(saved) if saved.format != FORMAT => {
                Err(Error::local(&path, "another version of the program wrote it"))
            }
            saved => Ok(saved),
        }
    }

    pub(super) fn save(&self, _lock: &Lock, saved: &Saved) -> Result<(), Error> {
        write(&self.trusted(), saved)
    }

    /// The time by the machine's clock, or the latest that was seen if that is later; it is remembered.
    pub(super) fn see(&self, _lock: &Lock, now: Timestamp) -> Result<Timestamp, Error> {
        let path = self.folder.join("seen.json");
        let seen: Option<Seen> = read(&path)?;
        let latest = seen.map_or(now, |seen| seen.latest.max(now));
        write(&path, &Seen { latest })?;
        Ok(latest)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::local(path, error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| Error::local(path, error))?;
    // A state that cannot be read is not forgotten: with it would go the protection from old versions.
    let parsed = serde_json::from_slice(&bytes);
    parsed
        .map(Some)
        .map_err(|error| Error::local(path, format_args!("{error}; restore it, or remove it and refresh")))
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let bytes = serde_json::to_vec(value).map_err(|error| Error::local(path, error))?;
    write_atomically(path, &bytes)
}

/// Replaces a file as a whole, and returns once it is on the disk.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::local(path, error);
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut fresh = tempfile::Builder::new()
        .prefix(".fresh-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(failed)?;
    fresh
        .write_all(bytes)
        .and_then(|()| fresh.as_file().sync_all())
        .map_err(failed)?;
    fresh.persist(path).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

//! The directory of a registry that is changed.
//!
//! Invariants: all documents of a change appear in one step, when the directory `metadata` is exchanged for one that
//! was complete on the disk before; whatever a crash leaves beside it is removed at the next change; one process
//! changes the registry at a time.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use sha2::Digest as _;

use crate::{
    digest::Digest,
    registry::{Error, names, state::write_atomically},
};

/// The largest document that is read back.
const MAX_BYTES: u64 = 16 << 20;

#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
}

/// Held while the registry is changed.
pub(super) struct Lock {
    _file: File,
}

impl Disk {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn metadata(&self) -> PathBuf {
        self.folder.join("metadata")
    }

    fn waiting(&self) -> PathBuf {
        self.folder.join("waiting.json")
    }

    /// Takes the lock, and removes what a crash left.
    pub(super) fn lock(&self) -> Result<Lock, Error> {
        let path = self.folder.join(".lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| Error::local(&path, error))?;
        file.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => Error::Busy { path: path.clone() },
            fs::TryLockError::Error(error) => Error::local(&path, error),
        })?;
        let next = self.next();
        if next.exists() {
            fs::remove_dir_all(&next).map_err(|error| Error::local(&next, error))?;
        }
        Ok(Lock { _file: file })
    }

    fn next(&self) -> PathBuf {
        self.folder.join(".metadata-next")
    }

    pub(super) fn document(&self, name: &str) -> Result<String, Error> {
        self.file(&format!("metadata/{name}"))?
            .ok_or_else(|| Error::Missing { what: name.to_owned() })
    }

    /// A file of the registry, if it is there.
    pub(super) fn file(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.folder.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::local(&path, error)),
        };
        let mut text = String::new();
        let read = file.take(MAX_BYTES).read_to_string(&mut text);
        read.map_err(|error| Error::local(&path, error))?;
        Ok(Some(text))
    }

    pub(super) fn read_waiting(&self) -> Result<Option<String>, Error> {
        self.file("waiting.json")
    }

    pub(super) fn write_waiting(&self, _lock: &Lock, text: &str) -> Result<(), Error> {
        write_atomically(&self.waiting(), text.as_bytes())
    }

    pub(super) fn remove_waiting(&self, _lock: &Lock) -> Result<(), Error> {
        match fs::remove_file(self.waiting()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::local(&self.waiting(), error)),
            _ => Ok(()),
        }
    }

    /// Puts new documents beside the old ones, all in one step.
    pub(super) fn commit(&self, _lock: &Lock, documents: &[(String, String)]) -> Result<(), Error> {
        let (metadata, next) = (self.metadata(), self.next());
        let failed = |error: std::io::Error| Error::local(&next, error);
        fs::create_dir(&next).map_err(failed)?;
        let had = metadata.exists();
        if had {
            for entry in fs::read_dir(&metadata).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let replaced = documents.iter().any(|(name, _)| entry.file_name() == name.as_str());
                if !replaced {
                    fs::hard_link(entry.path(), next.join(entry.file_name())).map_err(failed)?;
                }
            }
        }
        for (name, text) in documents {
            let mut file = File::create_new(next.join(name)).map_err(failed)?;
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(failed)?;
        }
        sync(&next)?;
        if had {
            let exchanged = renameat2(AT_FDCWD, &next, AT_FDCWD, &metadata, RenameFlags::RENAME_EXCHANGE);
            exchanged.map_err(|error| {
                let reason =
                    format_args!("{error}; directories cannot be exchanged, keep the registry on a local disk");
                Error::local(&metadata, reason)
            })?;
        } else {
            fs::rename(&next, &metadata).map_err(failed)?;
        }
        sync(&self.folder)?;
        if had {
            // What has this name now is the old state; if it stays, the next change removes it.
            fs::remove_dir_all(&next).map_err(failed)?;
        }
        Ok(())
    }

    /// Puts a target where consistent snapshots have it; the name carries the digest, so nothing is ever replaced
    /// by something else.
    pub(super) fn put(&self, target: &str, mut from: impl std::io::Read, limit: u64) -> Result<(Digest, u64), Error> {
        let folder = self.folder.join("targets");
        let failed = |error: std::io::Error| Error::local(&folder, error);
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut fresh = tempfile::Builder::new()
            .prefix(".fresh-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(&folder)
            .map_err(failed)?;
        let (mut hash, mut length, mut buffer) = (sha2::Sha256::new(), 0, vec![0; 64 * 1024]);
        loop {
            let read = from.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                break;
            }
            length += read as u64;
            if length > limit {
                return Err(Error::TooLarge {
                    what: target.to_owned(),
                    limit,
                });
            }
            hash.update(&buffer[..read]);
            fresh.write_all(&buffer[..read]).map_err(failed)?;
        }
        fresh.as_file().sync_all().map_err(failed)?;
        let bytes: [u8; 32] = hash.finalize().into();
        let digest = Digest::from(bytes);
        let path = self.folder.join(names::stored(target, &digest.hex()));
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(failed)?;
        fresh.persist(&path).map_err(|error| failed(error.error))?;
        sync(parent)?;
        sync(&folder)?;
        Ok((digest, length))
    }
}

fn sync(folder: &Path) -> Result<(), Error> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::local(folder, error))
}

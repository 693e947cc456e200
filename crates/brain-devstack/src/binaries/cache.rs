//! The folder, shared by all clones of a user, that downloaded servers are kept in.
//!
//! An entry appears whole or not at all: it is made beside its place and renamed there, under a lock, so that two
//! processes may want the same one at once.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::unistd::geteuid;

/// Overrides where downloaded servers are kept.
pub const VARIABLE: &str = "STUDIO_BRAIN_DEV_CACHE";

/// The cache folder: set by hand; for root a place that the unprivileged servers can read; else the user's own.
///
/// # Errors
/// When the user has no home folder.
pub fn directory() -> Result<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = set(VARIABLE) {
        return std::path::absolute(&folder).with_context(|| format!("{VARIABLE} is {}", folder.display()));
    }
    if geteuid().is_root() {
        return Ok(PathBuf::from("/var/cache/studio-brain"));
    }
    set("XDG_CACHE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("studio-brain"))
        .with_context(|| format!("cannot tell where to keep downloads: neither HOME nor {VARIABLE} is set"))
}

/// The folder `name` of the cache. When `usable` does not accept it yet, `make` fills a fresh folder, which then takes
/// its place.
pub(super) fn entry(
    name: &str,
    usable: impl Fn(&Path) -> bool,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let cache = directory()?;
    let place = cache.join(name);
    if usable(&place) {
        return Ok(place);
    }
    std::fs::create_dir_all(&cache)
        .with_context(|| format!("cannot create the cache {}; {VARIABLE} moves it", cache.display()))?;
    let _lock = lock(&cache.join(format!("{name}.lock")))?;
    if usable(&place) {
        return Ok(place);
    }
    let fresh = cache.join(format!("{name}.new"));
    remove(&fresh)?;
    std::fs::create_dir(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    let outcome = make(&fresh).and_then(|()| open_to_all(&fresh)).and_then(|()| {
        anyhow::ensure!(
            usable(&fresh),
            "what was installed in {} lacks the expected programs",
            fresh.display()
        );
        remove(&place)?;
        std::fs::rename(&fresh, &place).with_context(|| format!("cannot rename {}", fresh.display()))
    });
    if outcome.is_err() {
        let _ = remove(&fresh);
    }
    outcome.map(|()| place)
}

/// Waits for, and holds, the lock of an entry. The system gives it up when the process ends, however it ends.
fn lock(path: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open the lock {}; {VARIABLE} moves the cache", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Makes a tree readable for every account, whatever the caller's umask: root's servers run as another one.
fn open_to_all(path: &Path) -> Result<()> {
    let facts = std::fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    if facts.is_symlink() {
        return Ok(());
    }
    let mode = if facts.is_dir() || facts.permissions().mode() & 0o111 != 0 {
        0o755
    } else {
        0o644
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    if facts.is_dir() {
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
        for entry in entries {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}

//! A PostgreSQL installation without the `vector` extension, to show what happens where it is not installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{cache, is_program, wheel};

/// Whether the installation that `bin` belongs to brings the `vector` extension.
pub(super) fn has_vector(bin: &Path) -> bool {
    share_folders(bin)
        .iter()
        .any(|share| share.join("extension/vector.control").is_file())
}

/// Where an installation keeps its extensions: beside `bin`, or where Debian splits it off.
fn share_folders(bin: &Path) -> Vec<PathBuf> {
    let Some(root) = bin.parent() else { return Vec::new() };
    let mut folders = vec![root.join("share"), root.join("share/postgresql")];
    if let (Some(version), true) = (root.file_name(), root.starts_with("/usr/lib/postgresql")) {
        folders.push(Path::new("/usr/share/postgresql").join(version));
    }
    folders
}

/// A copy of the installation without the extension, made once and kept in the cache. The files are hard links where
/// the file system allows it.
pub(super) fn without_vector(bin: &Path) -> Result<PathBuf> {
    let installation = bin.parent().context("a folder of programs has a parent")?;
    if !installation.join("share").is_dir() || [Path::new("/usr"), Path::new("/usr/local")].contains(&installation) {
        bail!(
            "a server without pgvector needs an installation in a folder of its own to copy, which {} is not; unset {} \
             to use the wheel",
            bin.display(),
            super::POSTGRES_VARIABLE
        );
    }
    // The programs of the wheel find their libraries by the way from here to there, so all of it is copied.
    let root = bin
        .ancestors()
        .find(|folder| folder.join(wheel::POSTGRES_PACKAGE).is_dir())
        .unwrap_or(installation);
    let inside = bin
        .strip_prefix(root)
        .context("the programs lie below their installation")?;
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let short: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let usable = |copy: &Path| is_program(&copy.join(inside).join("postgres")) && !has_vector(&copy.join(inside));
    let place = cache::entry(&format!("postgres-without-pgvector-{short}"), usable, |fresh| {
        link_tree(root, fresh)
    })?;
    Ok(place.join(inside))
}

fn link_tree(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let entries = std::fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        if belongs_to_vector(&entry.file_name()) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            link_tree(&source, &target)?;
        } else if std::fs::hard_link(&source, &target).is_err() {
            std::fs::copy(&source, &target).with_context(|| format!("cannot copy {}", source.display()))?;
        }
    }
    Ok(())
}

fn belongs_to_vector(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("vector.") || name.starts_with("vector--")
}

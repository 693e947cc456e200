//! Plain directories of skills without signatures: `<root>/<name>/<version>/manifest.json`.
//!
//! Used only where the policy asks for no signatures. Invariant: what is found is a directory below the root that no
//! symbolic link leads out of.

use std::path::{Path, PathBuf};

use super::Error;
use crate::reference::SkillRef;

/// The most names and versions that are listed.
const MAX_LISTED: usize = 10_000;

/// A directory of unsigned skills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    root: PathBuf,
}

impl Unsigned {
    /// The skills below this directory.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether the directory is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.root.is_dir()
    }

    /// The directory of a skill.
    pub fn resolve(&self, skill: &SkillRef) -> Result<PathBuf, Error> {
        let unknown = || Error::UnknownSkill { skill: skill.clone() };
        let mut path = self.root.clone();
        // The root itself may be a link of the operator's; what is below it may not.
        for part in [skill.name(), &skill.version().to_string()] {
            path.push(part);
            if !is_plain(&path, std::fs::FileType::is_dir)? {
                return Err(unknown());
            }
        }
        if !is_plain(&path.join("manifest.json"), std::fs::FileType::is_file)? {
            return Err(unknown());
        }
        Ok(path)
    }

    /// All skills, in order.
    pub fn list(&self) -> Result<Vec<SkillRef>, Error> {
        let mut skills = Vec::new();
        for name in names(&self.root)? {
            let folder = self.root.join(&name);
            if !is_plain(&folder, std::fs::FileType::is_dir)? {
                continue;
            }
            for version in names(&folder)? {
                let skill = format!("{name}@{version}").parse::<SkillRef>();
                if let Ok(skill) = skill
                    && self.resolve(&skill).is_ok()
                {
                    skills.push(skill);
                }
                if skills.len() > MAX_LISTED {
                    return Err(Error::local(
                        &self.root,
                        format_args!("it has more than {MAX_LISTED} skills"),
                    ));
                }
            }
        }
        skills.sort();
        Ok(skills)
    }
}

fn is_plain(path: &Path, kind: impl Fn(&std::fs::FileType) -> bool) -> Result<bool, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(kind(&metadata.file_type())),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(Error::local(path, error)),
    }
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let failed = |error: std::io::Error| Error::local(folder, error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)?.take(MAX_LISTED + 1) {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn it_finds_directories_and_follows_no_links() {
        let place = tempfile::tempdir().unwrap();
        let (root, outside) = (place.path().join("skills"), place.path().join("outside/1.0.0"));
        for folder in [
            &root.join("a/1.0.0"),
            &root.join("a/latest"),
            &root.join("b"),
            &root.join("e/1.0.0"),
            &outside,
        ] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join("manifest.json"), "{}").unwrap();
        }
        fs::remove_file(root.join("e/1.0.0/manifest.json")).unwrap();
        symlink(place.path().join("outside"), root.join("c")).unwrap();
        symlink(&outside, root.join("b/1.0.0")).unwrap();
        let unsigned = Unsigned::new(&root);
        let a: SkillRef = "a@1.0.0".parse().unwrap();
        assert_eq!(unsigned.list().unwrap(), std::slice::from_ref(&a));
        assert_eq!(unsigned.resolve(&a).unwrap(), root.join("a/1.0.0"));
        for wrong in ["a@1.0.1", "b@1.0.0", "c@1.0.0", "e@1.0.0", "d@1.0.0"] {
            assert!(
                matches!(
                    unsigned.resolve(&wrong.parse().unwrap()),
                    Err(Error::UnknownSkill { .. })
                ),
                "{wrong}"
            );
        }
    }
}

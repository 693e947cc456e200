//! The files of a skill, and the digests that stand for all of them.
//!
//! The digest of a tree is the SHA-256 of its [listing](Tree::listing), a text:
//!
//! ```text
//! studio-brain skill tree v1
//! 0644 12 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 manifest.json
//! 0755 3 98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4 run
//! ```
//!
//! The first line keeps it apart from any other use of the hash. Then, sorted by the bytes of the path, one line for each
//! file: 0755 where its owner may execute it and else 0644, its size, the SHA-256 of its bytes, its path. Directories are
//! there by what is in them alone. The `checksum` of a manifest is made in the same way with `studio-brain skill
//! checksum v1` as first line, and for `manifest.json` with size and digest of its canonical JSON (RFC 8785)
//! without `checksum`, `signature`, `signatureAlgorithm` and `signatureKeyId`.
//!
//! Invariants: a path has no newline, so a listing reads in one way; any change of a byte, a name or the right to execute
//! changes the digest.

use std::{collections::BTreeMap, fmt::Write as _};

use super::path::CanonicalPath;
use crate::digest::Digest;

/// The name of the manifest in a tree.
pub const MANIFEST: &str = "manifest.json";
/// The name of the description for agents in a tree.
pub const SKILL_MD: &str = "SKILL.md";

const TREE: &str = "studio-brain skill tree v1";
const CHECKSUM: &str = "studio-brain skill checksum v1";

/// A file of a skill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Whether its owner may execute it.
    pub executable: bool,
    /// Its bytes, counted.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
}

/// The files of a skill by their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    files: BTreeMap<CanonicalPath, File>,
}

/// How a file of one tree differs from that of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is there with other bytes, or another right to execute.
    Changed(CanonicalPath),
    /// It is not there.
    Missing(CanonicalPath),
    /// It should not be there.
    Extra(CanonicalPath),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed(path) => write!(f, "{path} was changed"),
            Self::Missing(path) => write!(f, "{path} is missing"),
            Self::Extra(path) => write!(f, "{path} was added"),
        }
    }
}

impl Tree {
    pub(crate) fn add(&mut self, path: CanonicalPath, file: File) {
        self.files.insert(path, file);
    }

    /// The file with this path.
    #[must_use]
    pub fn get(&self, path: &CanonicalPath) -> Option<&File> {
        self.files.get(path)
    }

    /// All files, sorted by the bytes of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&CanonicalPath, &File)> {
        self.files.iter()
    }

    /// What all files have together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.size).sum()
    }

    /// The text that the digest is made of.
    #[must_use]
    pub fn listing(&self) -> String {
        listing(TREE, self.files())
    }

    /// The digest of the tree.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.listing().as_bytes())
    }

    /// The checksum that a manifest with this canonical form states.
    #[must_use]
    pub fn checksum(&self, canonical: &[u8]) -> Digest {
        let instead = |executable| File {
            executable,
            size: canonical.len() as u64,
            digest: Digest::of(canonical),
        };
        let counted: BTreeMap<&CanonicalPath, File> = self
            .files()
            .map(|(path, file)| match path.as_str() {
                MANIFEST => (path, instead(file.executable)),
                _ => (path, *file),
            })
            .collect();
        Digest::of(listing(CHECKSUM, counted.iter().map(|(path, file)| (*path, file))).as_bytes())
    }

    /// Reads a listing that has this digest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_listing(text: &str, digest: Digest) -> Result<Self, String> {
        if Digest::of(text.as_bytes()) != digest {
            return Err("the listing of its files was changed".to_owned());
        }
        let mut lines = text.lines();
        if lines.next() != Some(TREE) {
            return Err("the listing of its files is of an unknown kind".to_owned());
        }
        let read = |line: &str| {
            let mut fields = line.splitn(4, ' ');
            let mut next = || fields.next().ok_or("a line is too short");
            let executable = next()? == "0755";
            let size = next()?.parse().map_err(|_| "a size is no number")?;
            let digest = format!("sha256:{}", next()?).parse().map_err(|_| "a digest is none")?;
            let path = next()?.parse().map_err(|_| "a path is none")?;
            Ok::<_, &str>((
                path,
                File {
                    executable,
                    size,
                    digest,
                },
            ))
        };
        let files: Result<_, &str> = lines.map(read).collect();
        let tree = Self {
            files: files.map_err(|problem| format!("the listing of its files cannot be read: {problem}"))?,
        };
        Ok(tree)
    }

    /// What is different in another tree that should be the same.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let gone_or_changed = self.files().filter_map(|(path, file)| match other.get(path) {
            None => Some(Difference::Missing(path.clone())),
            Some(found) if found != file => Some(Difference::Changed(path.clone())),
            Some(_) => None,
        });
        let extra = other.files().filter(|(path, _)| self.get(path).is_none());
        gone_or_changed
            .chain(extra.map(|(path, _)| Difference::Extra(path.clone())))
            .collect()
    }
}

fn listing<'a>(kind: &str, files: impl Iterator<Item = (&'a CanonicalPath, &'a File)>) -> String {
    let mut text = format!("{kind}\n");
    for (path, file) in files {
        let mode = if file.executable { "0755" } else { "0644" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{mode} {} {} {path}", file.size, file.digest.hex());
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn tree(files: &[(&str, bool, &[u8])]) -> Tree {
        let mut tree = Tree::default();
        for (path, executable, bytes) in files {
            let file = File {
                executable: *executable,
                size: bytes.len() as u64,
                digest: Digest::of(bytes),
            };
            tree.add(path.parse().unwrap(), file);
        }
        tree
    }

    #[test]
    fn the_digest_is_that_of_the_documented_text() {
        let tree = tree(&[("run", true, b"abc"), ("manifest.json", false, b"hello\n")]);
        let text = "studio-brain skill tree v1\n\
            0644 6 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 manifest.json\n\
            0755 3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad run\n";
        assert_eq!(tree.listing(), text);
        assert_eq!(tree.digest(), Digest::of(text.as_bytes()));
        assert_eq!(Tree::from_listing(text, tree.digest()).unwrap(), tree);
        assert!(Tree::from_listing(text, Digest::of(b"")).is_err());
        assert_eq!(tree.bytes(), 9);
        let counted = "studio-brain skill checksum v1\n\
            0644 2 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a manifest.json\n\
            0755 3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad run\n";
        assert_eq!(tree.checksum(b"{}"), Digest::of(counted.as_bytes()));
    }

    #[test]
    fn differences_name_the_files() {
        let before = tree(&[("a", false, b"1"), ("b", false, b"2"), ("c", false, b"3")]);
        let after = tree(&[("a", true, b"1"), ("c", false, b"3"), ("d", false, b"4")]);
        let told: Vec<_> = before.differences(&after).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["a was changed", "b is missing", "d was added"]);
        assert!(before.differences(&before).is_empty());
    }

    proptest! {
        #[test]
        fn any_change_changes_the_digest(
            files in proptest::collection::btree_map("[a-d]{1,2}", (any::<bool>(), proptest::collection::vec(any::<u8>(), 1..8)), 1..6),
            which in any::<proptest::sample::Index>(),
            at in any::<proptest::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let made = |files: &BTreeMap<String, (bool, Vec<u8>)>| {
                let listed: Vec<_> = files.iter().map(|(path, (x, bytes))| (path.as_str(), *x, bytes.as_slice())).collect();
                tree(&listed)
            };
            let whole = made(&files);
            let name = files.keys().nth(which.index(files.len())).unwrap().clone();
            let mut others = vec![files.clone(); 4];
            let at = at.index(files[&name].1.len());
            others[0].get_mut(&name).unwrap().1[at] ^= 1 << bit;
            others[1].get_mut(&name).unwrap().0 ^= true;
            let moved = others[2].remove(&name).unwrap();
            others[2].insert(format!("{name}x"), moved);
            others[3].remove(&name);
            for other in others {
                prop_assert_ne!(made(&other).digest(), whole.digest());
                prop_assert_ne!(made(&other).checksum(b"{}"), whole.checksum(b"{}"));
            }
            prop_assert_eq!(&Tree::from_listing(&whole.listing(), whole.digest()).unwrap(), &whole);
        }
    }
}

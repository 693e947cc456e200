//! Skills, stores and archives, of which the hostile ones are written byte by byte.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use brain_skills::{
    Refused, SkillRef, Stage,
    bundle::{self, Bounds, archive, directory::Directory},
    digest::Digest,
    policy::Policy,
    store::{Error, Expected, Install, Record, Revocations, Source, Store},
};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const UNSIGNED: Expected = Expected::Unsigned { digest: None };

pub(crate) fn reference(text: &str) -> SkillRef {
    text.parse().unwrap()
}

/// Whatever asks for nothing may be installed.
pub(crate) fn open_policy() -> Policy {
    Policy {
        require_checksum: false,
        require_signature: false,
        ..Policy::default()
    }
}

pub(crate) fn manifest(skill: &str) -> Value {
    let (name, version) = skill.split_once('@').unwrap();
    json!({"name": name, "version": version, "description": "Says hello.", "entrypoint": "run"})
}

/// One entry of an archive, exactly as it is written.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    pub(crate) link: Vec<u8>,
    pub(crate) size: Option<u64>,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn file(name: &str, bytes: impl AsRef<[u8]>) -> Entry {
    Entry {
        name: name.as_bytes().to_vec(),
        kind: b'0',
        mode: 0o644,
        link: Vec::new(),
        size: None,
        bytes: bytes.as_ref().to_vec(),
    }
}

pub(crate) fn of_kind(kind: u8, name: &str, link: &str) -> Entry {
    Entry {
        kind,
        link: link.as_bytes().to_vec(),
        ..file(name, "")
    }
}

impl Entry {
    pub(crate) fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    pub(crate) fn block(&self) -> [u8; 512] {
        let mut block = [0; 512];
        let size = self.size.unwrap_or(self.bytes.len() as u64);
        let (mode, size) = (format!("{:07o}", self.mode), format!("{size:011o}"));
        let fields: [(usize, &[u8]); 9] = [
            (0, &self.name),
            (100, mode.as_bytes()),
            (108, b"0000000"),
            (116, b"0000000"),
            (124, size.as_bytes()),
            (136, b"00000000000"),
            (156, &[self.kind]),
            (157, &self.link),
            (257, b"ustar\x0000"),
        ];
        for (at, bytes) in fields {
            block[at..at + bytes.len()].copy_from_slice(bytes);
        }
        summed(block)
    }
}

/// The block with its right checksum.
pub(crate) fn summed(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&entry.block());
        bytes.extend_from_slice(&entry.bytes);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend_from_slice(&[0; 1024]);
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

/// An honest skill, and these beside it.
pub(crate) fn with(entries: &[Entry]) -> Vec<Entry> {
    let mut all = vec![
        file("manifest.json", manifest("hello@1.0.0").to_string()),
        file("run", "#!/bin/sh\n").mode(0o755),
    ];
    all.extend_from_slice(entries);
    all
}

/// An archive of a skill with this text in its program.
pub(crate) fn archive_of(skill: &str, text: &str) -> Vec<u8> {
    gzip(&tar(&[
        file("manifest.json", manifest(skill).to_string()),
        file("lib/data.txt", text.repeat(100)),
        file("run", text).mode(0o755),
    ]))
}

/// The directories of a store are read-only, also for whoever removes them and is not root.
impl Drop for Home {
    fn drop(&mut self) {
        let mut left = vec![self.root()];
        while let Some(next) = left.pop() {
            let _ = fs::set_permissions(&next, fs::Permissions::from_mode(0o700));
            let entries = fs::read_dir(&next).into_iter().flatten().flatten();
            left.extend(
                entries
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
        }
    }
}

/// A store in a directory beside which nothing may appear.
pub(crate) struct Home {
    pub(crate) outside: TempDir,
    pub(crate) store: Store,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::bounded(Bounds::default())
    }

    pub(crate) fn bounded(bounds: Bounds) -> Self {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("canary"), "untouched").unwrap();
        let store = Store::open(&outside.path().join("root"), bounds).unwrap();
        Self { outside, store }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.outside.path().join("root")
    }

    pub(crate) fn install(&self, skill: &str, archive: &[u8]) -> Result<Record, Error> {
        install(&self.store, skill, archive, &open_policy(), &UNSIGNED, false)
    }

    pub(crate) fn install_from(&self, skill: &str, directory: &Path) -> Result<Record, Error> {
        let (reference, policy, revocations) = (reference(skill), open_policy(), Revocations::default());
        let install = Install {
            reference: &reference,
            policy: &policy,
            revocations: &revocations,
            expected: &UNSIGNED,
            source: "a directory",
            allow_downgrade: false,
        };
        self.store.install(&install, Source::Directory(directory))
    }

    /// Checks that nothing is in the store, nothing was left, and nothing appeared beside it.
    #[track_caller]
    pub(crate) fn untouched(&self) {
        let beside: Vec<_> = names(self.outside.path());
        assert_eq!(beside, ["canary", "root"]);
        assert_eq!(
            fs::read_to_string(self.outside.path().join("canary")).unwrap(),
            "untouched"
        );
        for below in ["objects", "skills", "staging", "listings"] {
            assert!(names(&self.root().join(below)).is_empty(), "{below}");
        }
        assert!(self.store.list().unwrap().is_empty());
    }

    /// Installs what must be refused, and checks that it was and that it was written down.
    #[track_caller]
    pub(crate) fn refuses(&self, archive: &[u8], stage: Stage, says: &str) -> Refused {
        let refused = refused(self.install("hello@1.0.0", archive));
        assert_eq!(refused.stage, stage, "{refused}");
        assert!(refused.reason.contains(says), "{refused}");
        let lines = self.store.audit().unwrap();
        let last = lines.last().unwrap();
        assert_eq!(last.stage, Some(stage));
        assert_eq!(last.reason.as_deref(), Some(&*refused.reason));
        self.untouched();
        refused
    }
}

pub(crate) fn install(
    store: &Store,
    skill: &str,
    mut archive: &[u8],
    policy: &Policy,
    expected: &Expected,
    allow_downgrade: bool,
) -> Result<Record, Error> {
    let (reference, revocations) = (reference(skill), Revocations::default());
    let install = Install {
        reference: &reference,
        policy,
        revocations: &revocations,
        expected,
        source: "an archive",
        allow_downgrade,
    };
    store.install(&install, Source::Archive(&mut archive))
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Refused {
    match result.unwrap_err() {
        Error::Refused(refused) => refused,
        other => panic!("{other}"),
    }
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A directory with an honest skill.
pub(crate) fn directory(skill: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("manifest.json"), manifest(skill).to_string()).unwrap();
    let run = directory.path().join("run");
    fs::write(&run, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// The archive of a directory as it is published, and the digest of its tree.
pub(crate) fn packed(path: &Path) -> (Vec<u8>, Digest) {
    let taken = bundle::read_directory(path, Bounds::default()).unwrap();
    let mut bytes = Vec::new();
    archive::pack(&Directory::open(path).unwrap(), &taken.tree, &mut bytes).unwrap();
    (bytes, taken.tree.digest())
}

/// Everything below a directory, with its bytes.
pub(crate) fn contents(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![path.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else {
                let inside = entry.path().strip_prefix(path).unwrap().to_owned();
                found.insert(inside, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

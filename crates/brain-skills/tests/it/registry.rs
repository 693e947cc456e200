//! Registries: read against repositories that python-tuf made, written for python-tuf to read.
//!
//! python-tuf is installed by `python3 -m pip`, with its hashes checked, once for each target directory. Without it the
//! tests fail.

mod authoring;
mod crash;
mod hostile;
mod http;
mod interop;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
};

use brain_skills::{
    SkillRef,
    digest::Digest,
    registry::{Clock, Error, Registry, Resolved, Settings, Source, TrustRoot},
};
use brain_testkit::python;
use jiff::Timestamp;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/registry");
/// The pinned version, in the name of its folder: another one is installed beside it.
const INSTALLED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/python-tuf-7.0.1");
/// When the repositories that python-tuf made are read.
const MADE_FOR: &str = "2030-01-01T00:00:00Z";

/// Runs one of the scripts with python-tuf; returns what it prints.
fn with_python_tuf(script: &str, arguments: &[&Path]) -> String {
    static READY: OnceLock<(&str, PathBuf)> = OnceLock::new();
    let (python, packages) = READY.get_or_init(|| {
        let python = python::python();
        (python, python::install(python, FOLDER.as_ref(), INSTALLED.as_ref()))
    });
    let output = Command::new(python)
        .arg(Path::new(FOLDER).join(script))
        .args(arguments)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("no_proxy", "127.0.0.1,localhost")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// The folder of repositories that python-tuf made, once for each text of its script.
fn made() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let script = std::fs::read(Path::new(FOLDER).join("make_repository.py")).unwrap();
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("registries-{}", Digest::of(&script).hex()));
        if !place.exists() {
            let fresh = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            with_python_tuf("make_repository.py", &[fresh.path()]);
            // Another test process may have been faster.
            if std::fs::rename(fresh.path(), &place).is_ok() {
                let _ = fresh.keep();
            }
        }
        assert!(place.exists());
        place
    })
}

/// A reader with a state and a clock of its own.
struct Reader {
    state: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    root: TrustRoot,
}

impl Reader {
    fn of_made() -> Self {
        let root = std::fs::read_to_string(made().join("root.json")).unwrap();
        Self::new(&root, MADE_FOR)
    }

    fn new(root: &str, now: &str) -> Self {
        let now: Timestamp = now.parse().unwrap();
        Self {
            state: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            clock: Arc::new(AtomicI64::new(now.as_second())),
            root: TrustRoot::new(root).unwrap(),
        }
    }

    fn pass_days(&self, days: i64) {
        self.clock.fetch_add(days * 86_400, Ordering::SeqCst);
    }

    fn settings(&self) -> Settings {
        let clock = Arc::clone(&self.clock);
        Settings {
            clock: Clock::of(move || Timestamp::from_second(clock.load(Ordering::SeqCst)).unwrap()),
            tries: 1,
            ..Settings::default()
        }
    }

    async fn open(&self, source: Source) -> Registry {
        Registry::open(&source, &self.root, self.state.path(), self.settings())
            .await
            .unwrap()
    }

    /// Reads one of the repositories that python-tuf made.
    async fn read(&self, variant: &str) -> Result<Registry, Error> {
        let folder = made().join(variant);
        assert!(folder.is_dir(), "{variant}");
        let registry = self.open(Source::Directory(folder)).await;
        registry.refresh().await.map(|()| registry)
    }
}

fn skill(text: &str) -> SkillRef {
    text.parse().unwrap()
}

fn resolve(registry: &Registry, text: &str) -> Result<Resolved, Error> {
    registry.resolve(&skill(text))
}

fn listed(registry: &Registry) -> Vec<String> {
    registry.list().unwrap().iter().map(ToString::to_string).collect()
}

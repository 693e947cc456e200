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
use jiff::Timestamp;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/registry");
/// The pinned version, in the name of its folder: another one is installed beside it.
const INSTALLED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/python-tuf-7.0.1");
/// When the repositories that python-tuf made are read.
const MADE_FOR: &str = "2030-01-01T00:00:00Z";

/// The first Python that has pip: the first `python3` on `PATH` may lack it where the system's has it.
fn python() -> &'static str {
    let has_pip = |python: &&str| {
        let mut probe = Command::new(python);
        probe.args(["-m", "pip", "--version"]);
        let silent = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        silent.status().is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_pip);
    found.expect("python3 with pip is there (Debian: apt-get install python3-pip)")
}

/// Installs python-tuf where it is not yet: beside its place first, so that half of it is never found there.
fn install(python: &str) -> PathBuf {
    let place = Path::new(INSTALLED);
    if place.exists() {
        return place.to_owned();
    }
    let fresh = PathBuf::from(format!("{INSTALLED}.{}", std::process::id()));
    let output = Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"])
        .arg("--require-hashes")
        .arg("--requirement")
        .arg(Path::new(FOLDER).join("requirements.txt"))
        .arg("--target")
        .arg(&fresh)
        // A user's own settings may ask for what does not go with a target folder.
        .envs([
            ("PIP_USER", "0"),
            ("PIP_REQUIRE_VIRTUALENV", "0"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
            ("PIP_NO_INPUT", "1"),
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "pip: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Another test process may have been faster.
    if std::fs::rename(&fresh, place).is_err() {
        std::fs::remove_dir_all(&fresh).unwrap();
    }
    assert!(place.exists());
    place.to_owned()
}

/// Runs one of the scripts with python-tuf; returns what it prints.
fn with_python_tuf(script: &str, arguments: &[&Path]) -> String {
    static READY: OnceLock<(&str, PathBuf)> = OnceLock::new();
    let (python, packages) = READY.get_or_init(|| {
        let python = python();
        (python, install(python))
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

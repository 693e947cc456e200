//! A folder that xtask takes for its clone, with ports of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use brain_devstack::free_port;
use brain_devstack::process::{Identity, end_all_below};
use brain_testkit::scratch_dir;

/// What a command printed, on both outputs, and whether it succeeded.
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) text: String,
}

pub(crate) struct Clone {
    folder: PathBuf,
    settings: Vec<(&'static str, String)>,
}

impl Clone {
    pub(crate) fn new() -> Self {
        let folder = scratch_dir();
        std::fs::create_dir(folder.join("xtask")).unwrap();
        // Held until all three are chosen, so that they differ.
        let mut held = Vec::new();
        let mut port = || {
            let port = free_port().unwrap();
            held.push(TcpListener::bind(("127.0.0.1", port)).unwrap());
            port
        };
        let settings = vec![
            ("PGPORT", port().to_string()),
            ("REDIS_PORT", port().to_string()),
            (
                "STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT",
                format!("http://127.0.0.1:{}", port()),
            ),
        ];
        Self { folder, settings }
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.to_owned()));
    }

    pub(crate) fn setting(&self, name: &str) -> &str {
        self.settings
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
            .unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(std::process::Stdio::null())
            .env("CARGO_MANIFEST_DIR", self.folder.join("xtask"))
            .env("RUST_BACKTRACE", "0")
            .envs(self.settings.iter().map(|(name, value)| (*name, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .concat();
        Said {
            ok: output.status.success(),
            text,
        }
    }

    /// Runs a command that has to succeed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert!(said.ok, "{arguments:?} failed: {}", said.text);
        said.text
    }

    pub(crate) fn dev(&self) -> PathBuf {
        self.folder.join(".dev")
    }

    /// The process of a service, if it runs.
    pub(crate) fn running(&self, service: &str) -> Option<Identity> {
        Identity::read(&self.dev().join(service).with_extension("pid")).filter(Identity::is_alive)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        let _ = end_all_below(&self.folder);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

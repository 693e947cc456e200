//! What must not change on the host: a file, a process, a port, sockets and a secret.
//!
//! Invariants: it lives in the process that looks at it afterwards, outside of whatever runs the attacks; the secret is where
//! any process of the host could read it.

use std::{
    env, fs,
    io::{ErrorKind, Read},
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram, UnixListener},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Names the host of the attacks to a process that makes them.
pub(super) const VARIABLE: &str = "HOSTILE_HOST";
const SECRET: &str = "the secret of the host";

/// What attacks are aimed at.
#[derive(Debug, Clone)]
pub(super) struct Targets {
    /// For the programs.
    pub(super) json: Value,
    /// The directory that they see as `/data/in`.
    pub(super) shown: PathBuf,
}

impl Targets {
    /// Those that another process watches over.
    pub(super) fn given() -> Option<Self> {
        let text = env::var(VARIABLE).ok()?;
        Some(Self::read(&serde_json::from_str(&text).unwrap()))
    }

    fn read(json: &Value) -> Self {
        let mut json = json.clone();
        let shown = json.as_object_mut().unwrap().remove("shown").unwrap();
        Self {
            json,
            shown: shown.as_str().unwrap().into(),
        }
    }
}

/// The canary.
#[derive(Debug)]
pub(super) struct Canary {
    directory: TempDir,
    process: Child,
    port: TcpListener,
    datagrams: [UnixDatagram; 2],
    givers: [UnixListener; 2],
    json: Value,
}

impl Canary {
    pub(super) fn new() -> Self {
        let directory = open_directory();
        let file = directory.path().join("canary");
        fs::write(&file, SECRET).unwrap();
        let shown = directory.path().join("shown");
        fs::create_dir(&shown).unwrap();
        let (datagram, giver) = (shown.join("canary.sock"), shown.join("giver.sock"));
        let name = directory.path().file_name().unwrap().to_str().unwrap();
        let (abstract_datagram, abstract_giver) = (format!("canary-{name}"), format!("giver-{name}"));
        let address = |name: &str| SocketAddr::from_abstract_name(name).unwrap();
        // It waits for its input, and so ends with this process.
        let process = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let json = json!({
            "file": file, "pid": process.id(), "port": port.local_addr().unwrap().port(), "shown": shown,
            "abstract": abstract_datagram, "socket": "/data/in/canary.sock",
            "giver": abstract_giver, "giver_socket": "/data/in/giver.sock",
        });
        let canary = Self {
            process,
            port,
            datagrams: [
                UnixDatagram::bind(&datagram).unwrap(),
                UnixDatagram::bind_addr(&address(&abstract_datagram)).unwrap(),
            ],
            givers: [
                UnixListener::bind(&giver).unwrap(),
                UnixListener::bind_addr(&address(&abstract_giver)).unwrap(),
            ],
            directory,
            json,
        };
        for socket in [&datagram, &giver] {
            // Whoever sees them may use them: their modes are not what protects them.
            fs::set_permissions(socket, permissions(0o777)).unwrap();
        }
        canary.port.set_nonblocking(true).unwrap();
        canary
            .datagrams
            .iter()
            .for_each(|socket| socket.set_nonblocking(true).unwrap());
        canary
            .givers
            .iter()
            .for_each(|socket| socket.set_nonblocking(true).unwrap());
        canary
    }

    pub(super) fn targets(&self) -> Targets {
        Targets::read(&self.json)
    }

    /// The file with the secret.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.path().join("canary")
    }

    /// What another process is given as [`VARIABLE`].
    pub(super) fn variable(&self) -> String {
        self.json.to_string()
    }

    /// What is not as it was.
    pub(super) fn harm(&mut self) -> Vec<String> {
        let mut harm = Vec::new();
        let mut check = |so: bool, what: &str| {
            if !so {
                harm.push(what.to_owned());
            }
        };
        check(
            fs::read_to_string(self.file()).is_ok_and(|text| text == SECRET),
            "the file has changed",
        );
        let mut names: Vec<_> = names(self.directory.path());
        names.extend(self::names(&self.directory.path().join("shown")));
        names.sort();
        check(
            names == ["canary", "canary.sock", "giver.sock", "shown"],
            "files came or went",
        );
        check(
            self.process.try_wait().is_ok_and(|ended| ended.is_none()),
            "the process has ended",
        );
        check(
            state_of(self.process.id()) == Some('S'),
            "the process does not sleep any more",
        );
        let waits = |error: std::io::Error| error.kind() == ErrorKind::WouldBlock;
        check(self.port.accept().is_err_and(waits), "somebody came to the port");
        for socket in &self.datagrams {
            check(socket.recv(&mut [0]).is_err_and(waits), "somebody wrote to a socket");
        }
        for socket in &self.givers {
            check(socket.accept().is_err_and(waits), "somebody came to a socket");
        }
        harm
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        // It may have been killed, which was found already.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// The names in a directory.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The state of a process, as one letter.
pub(super) fn state_of(pid: u32) -> Option<char> {
    let mut text = String::new();
    fs::File::open(format!("/proc/{pid}/stat"))
        .ok()?
        .read_to_string(&mut text)
        .ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

/// The processes whose arguments have this in them.
pub(super) fn processes(token: &str) -> Vec<u32> {
    let pids = names(Path::new("/proc"))
        .into_iter()
        .filter_map(|name| name.parse().ok());
    let with = |pid: &u32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.windows(token.len()).any(|part| part == token.as_bytes())
    };
    pids.filter(with).collect()
}

/// A directory that everybody may read.
pub(super) fn open_directory() -> TempDir {
    tempfile::Builder::new()
        .permissions(permissions(0o755))
        .tempdir()
        .unwrap()
}

pub(super) fn permissions(mode: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

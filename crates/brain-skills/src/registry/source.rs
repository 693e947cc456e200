//! Where the files of a registry come from: a directory, or any server of static files.
//!
//! Invariants: nothing is read beyond the limit that the caller names; a name is used only if it is one of the forms
//! that names and versions allow; only a failure to reach the files is worth another try.

mod http;

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use url::Url;

use super::{Error, Settings};
pub use http::Proxy;

/// Where a registry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory with `metadata` and `targets`.
    Directory(PathBuf),
    /// The same files below a URL.
    Http(Url),
}

#[derive(Debug)]
pub(super) enum Files {
    Directory(PathBuf),
    Http(http::Client),
}

impl Files {
    pub(super) fn open(source: &Source, settings: &Settings) -> Result<Self, Error> {
        match source {
            Source::Directory(path) => Ok(Self::Directory(path.clone())),
            Source::Http(url) => http::Client::new(url, settings).map(Self::Http),
        }
    }

    /// A document, by its name under `metadata` or `targets`.
    pub(super) async fn document(&self, name: &str, limit: u64) -> Result<String, Error> {
        let mut bytes = Vec::new();
        self.copy(name, limit, Span::Document, &mut bytes).await?;
        String::from_utf8(bytes).map_err(|_| Error::malformed(name, "it is not UTF-8"))
    }

    /// Copies a file into something that can be emptied again when a try fails.
    pub(super) async fn copy(&self, name: &str, limit: u64, span: Span, into: &mut impl Sink) -> Result<(), Error> {
        match self {
            Self::Directory(folder) => from_directory(folder, name, limit, into).await,
            Self::Http(client) => client.copy(name, limit, span, into).await,
        }
    }
}

/// How long reading may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Span {
    Document,
    Archive,
}

/// Takes the bytes of a file.
pub(super) trait Sink: Send {
    fn begin(&mut self) -> std::io::Result<()>;
    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()>;
}

impl Sink for Vec<u8> {
    fn begin(&mut self) -> std::io::Result<()> {
        self.clear();
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

impl Sink for File {
    fn begin(&mut self) -> std::io::Result<()> {
        use std::io::Seek as _;
        self.set_len(0)?;
        self.rewind()
    }

    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write_all(bytes)
    }
}

async fn from_directory(folder: &Path, name: &str, limit: u64, into: &mut impl Sink) -> Result<(), Error> {
    let unavailable = |error: std::io::Error| Error::Unavailable {
        what: name.to_owned(),
        reason: error.to_string(),
    };
    // Without waiting, so that a FIFO in the place of a file does not stop the reader.
    let opened = File::options()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(folder.join(name));
    let mut file = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Error::Missing { what: name.to_owned() },
        _ => unavailable(error),
    })?;
    if !file.metadata().map_err(unavailable)?.is_file() {
        return Err(Error::malformed(name, "it is not a regular file"));
    }
    into.begin().map_err(|error| Error::local(folder, error))?;
    let (mut had, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut buffer).map_err(unavailable)?;
        if read == 0 {
            return Ok(());
        }
        had += read as u64;
        if had > limit {
            return Err(Error::TooLarge {
                what: name.to_owned(),
                limit,
            });
        }
        // A large file is not read at one go, for others wait for this thread.
        if had > 1 << 20 {
            tokio::task::yield_now().await;
        }
        into.take(&buffer[..read])
            .map_err(|error| Error::local(folder, error))?;
    }
}

//! Profiles: servers with their tokens under names, in a file of the user's own.
//!
//! Invariants: the file can be read by its owner alone, and is replaced as a whole or not at all; a token in it is never printed.

use std::{
    collections::{BTreeMap, btree_map},
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brain_config::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::exit::Usage;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// The longest name, in characters.
const MAX_NAME: usize = 64;

/// A server and who to be there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// URL of the brain.
    pub(crate) server: Option<String>,
    /// Token to present.
    pub(crate) token: Option<SecretString>,
}

impl Profile {
    /// The profile of that name.
    pub(crate) fn named(name: &str) -> Result<Self, Usage> {
        let mut profiles = Profiles::read().map_err(|error| Usage(format!("{error:#}")))?;
        profiles.entries.remove(name).ok_or_else(|| {
            let known: Vec<&str> = profiles.entries.keys().map(String::as_str).collect();
            let known = match known.as_slice() {
                [] => "there is none; `brain profile set` makes one".to_owned(),
                known => format!("there are {}", known.join(", ")),
            };
            Usage(format!("there is no profile {name}: {known}"))
        })
    }
}

/// All profiles of a file.
#[derive(Debug)]
pub(crate) struct Profiles {
    path: PathBuf,
    entries: BTreeMap<String, Profile>,
}

/// The form of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

#[derive(Serialize)]
struct Written<'a> {
    profiles: BTreeMap<&'a str, Revealed<'a>>,
}

#[derive(Serialize)]
struct Revealed<'a> {
    server: Option<&'a str>,
    token: Option<&'a str>,
}

impl Profiles {
    /// Reads the file; no file is no profiles.
    pub(crate) fn read() -> anyhow::Result<Self> {
        Self::read_from(place()?)
    }

    fn read_from(path: PathBuf) -> anyhow::Result<Self> {
        let named = || format!("the profiles in {}", path.display());
        let length = match fs::metadata(&path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error).with_context(named),
        };
        if length > MAX_BYTES {
            anyhow::bail!("{} are more than {MAX_BYTES} bytes", named());
        }
        let text = match length {
            0 => String::new(),
            _ => fs::read_to_string(&path).with_context(named)?,
        };
        // The error of the parser quotes the line, which may hold a token.
        let document: Document = toml::from_str(&text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start);
            let line = text.get(..before).unwrap_or_default().lines().count().max(1);
            anyhow::anyhow!("{} cannot be read: line {line}: {}", named(), error.message())
        })?;
        let entries = document.profiles;
        Ok(Self { path, entries })
    }

    pub(crate) fn iter(&self) -> btree_map::Iter<'_, String, Profile> {
        self.entries.iter()
    }

    /// Keeps a profile under a name.
    pub(crate) fn set(&mut self, name: &str, profile: Profile) -> Result<(), Usage> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
            let rule = "the name of a profile is 1 to 64 letters, digits, dots, hyphens and underscores";
            return Err(Usage(rule.to_owned()));
        }
        self.entries.insert(name.to_owned(), profile);
        Ok(())
    }

    /// Removes a profile; false, when there is none of that name.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.entries.remove(name).is_some()
    }

    /// Writes the file anew.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let revealed = |profile: &'_ Profile| -> (Option<String>, Option<String>) {
            let token = profile.token.as_ref().map(|token| token.expose_secret().to_owned());
            (profile.server.clone(), token)
        };
        let entries: Vec<_> = self
            .entries
            .iter()
            .map(|(name, one)| (name.as_str(), revealed(one)))
            .collect();
        let profiles = entries.iter().map(|(name, (server, token))| {
            let (server, token) = (server.as_deref(), token.as_deref());
            (*name, Revealed { server, token })
        });
        let document = Written {
            profiles: profiles.collect(),
        };
        let text = toml::to_string(&document).context("the profiles cannot be written as TOML")?;
        replace(&self.path, text.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// `BRAIN_PROFILES`, else where the user's programs keep what they are told.
fn place() -> anyhow::Result<PathBuf> {
    let of = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = of("BRAIN_PROFILES") {
        return Ok(path);
    }
    let folder = of("XDG_CONFIG_HOME").or_else(|| Some(of("HOME")?.join(".config")));
    let folder = folder.context("neither HOME nor XDG_CONFIG_HOME is set: name the file in BRAIN_PROFILES")?;
    Ok(folder.join("studio-brain").join("profiles.toml"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_kept_is_read_again_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("profiles.toml");
        let mut profiles = Profiles::read_from(path.clone()).unwrap();
        assert_eq!(profiles.iter().count(), 0);
        let team = Profile {
            server: Some("https://brain.example".to_owned()),
            token: Some("brain_x".into()),
        };
        profiles.set("team", team).unwrap();
        profiles.set("plain", Profile::default()).unwrap();
        profiles.write().unwrap();
        profiles.write().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);

        let mut again = Profiles::read_from(path).unwrap();
        let read = &again.entries["team"];
        assert_eq!(read.server.as_deref(), Some("https://brain.example"));
        assert_eq!(read.token.as_ref().unwrap().expose_secret(), "brain_x");
        assert!(again.remove("team") && !again.remove("team"));
        for wrong in ["", "a b", "a/b", &"x".repeat(65)] {
            assert!(again.set(wrong, Profile::default()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_in_the_file_names_the_line_and_shows_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        fs::write(&path, "[profiles.team]\nserver = \"x\"\ntoken = brain_secret\n").unwrap();
        let error = format!("{:#}", Profiles::read_from(path).unwrap_err());
        assert!(error.contains("line 3") || error.contains("line 2"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

//! Paths of files in a skill, and which of them are too much alike.
//!
//! Invariants: a [`CanonicalPath`] is relative and stays below the directory it is opened in; it has one spelling on each
//! file system (NFC); a line of text holds it; an archive can always carry it. Two paths of one [`Names`] differ also
//! for a file system or a reader who knows no case, no normalisation, or no difference between look-alikes.

use std::{collections::BTreeMap, fmt, str::FromStr};

use unicode_normalization::{UnicodeNormalization as _, is_nfc};
use unicode_security::{GeneralSecurityProfile as _, RestrictionLevel, RestrictionLevelDetection as _, skeleton};

/// The most bytes of the directories of a path, as an archive carries them.
const MAX_DIRECTORIES: usize = 155;
/// The most bytes of the last part of a path, and of each other part.
const MAX_PART: usize = 100;
/// The most parts.
const MAX_DEPTH: usize = 16;
/// Directories in which version control keeps what is no part of a skill, some of it programs.
const HIDDEN: [&str; 5] = [".git", ".hg", ".svn", ".bzr", ".jj"];

/// The path of a file in a skill, relative to the skill's directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalPath(String);

/// The text is not the path of a file in a skill, or names two files too much alike.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is not a path of a file in a skill: {problem}")]
pub struct Malformed {
    path: String,
    problem: String,
}

impl Malformed {
    pub(crate) fn new(path: &str, problem: impl Into<String>) -> Self {
        Self {
            path: path.chars().take(300).collect(),
            problem: problem.into(),
        }
    }
}

impl CanonicalPath {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, of which the last is the name of the file.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Reads what the file system gave.
    ///
    /// # Errors
    /// [`Malformed`], also where it is not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        std::str::from_utf8(bytes)
            .map_err(|_| Malformed::new(&String::from_utf8_lossy(bytes), "it is not UTF-8"))?
            .parse()
    }

    /// Where an archive splits it into directories and a name.
    pub(crate) fn split(&self) -> (&str, &str) {
        split(&self.0).unwrap_or(("", &self.0))
    }
}

/// The shortest name of at most [`MAX_PART`] bytes is not wanted but the longest, so that short paths have no prefix.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= MAX_PART {
        return Some(("", path));
    }
    path.match_indices('/')
        .map(|(at, _)| (&path[..at], &path[at + 1..]))
        .find(|(directories, name)| name.len() <= MAX_PART && directories.len() <= MAX_DIRECTORIES)
}

impl FromStr for CanonicalPath {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let refuse = |problem: &str| Err(Malformed::new(text, problem));
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > MAX_DIRECTORIES + 1 + MAX_PART {
            return refuse("it is longer than 256 bytes; use shorter names");
        }
        if text.starts_with('/') {
            return refuse("it is absolute; paths are relative to the directory of the skill");
        }
        if let Some(odd) = text.chars().find(|&at| at == '\\' || at.is_control()) {
            return refuse(&format!(
                "it holds {odd:?}; use / between names, and no control characters"
            ));
        }
        if let Some(odd) = text.chars().find(|at| !at.is_ascii() && !at.identifier_allowed()) {
            return refuse(&format!(
                "it holds {}, which is invisible, turns the direction of writing, or is of no use in names; remove it",
                odd.escape_unicode()
            ));
        }
        if !is_nfc(text) {
            return refuse("it is not in Unicode normalisation form C; rename the file");
        }
        for part in text.split('/') {
            if let Some(problem) = problem_of_part(part) {
                return refuse(&problem);
            }
        }
        if text.split('/').count() > MAX_DEPTH {
            return refuse("it is more than 16 directories deep; flatten it");
        }
        if split(text).is_none() {
            return refuse("it is too long: 155 bytes of directories and 100 bytes of name are the most; shorten it");
        }
        Ok(Self(text.to_owned()))
    }
}

fn problem_of_part(part: &str) -> Option<String> {
    let hidden = HIDDEN.iter().find(|hidden| hidden.eq_ignore_ascii_case(part));
    if part.is_empty() {
        Some("it has an empty part; write one / between names and none at the end".to_owned())
    } else if matches!(part, "." | "..") {
        Some(format!("it holds {part:?}; name files by where they are"))
    } else if part.len() > MAX_PART {
        Some(format!(
            "a part of it is longer than {MAX_PART} bytes; use shorter names"
        ))
    } else if part.starts_with(' ') || part.ends_with([' ', '.']) {
        Some("a part begins with a space, or ends with a space or a dot; rename the file".to_owned())
    } else if let Some(hidden) = hidden {
        Some(format!("{hidden} is no part of a skill; pack an export without it"))
    } else if part
        .split(|at: char| at.is_ascii_punctuation() || at == ' ')
        .any(|word| word.detect_restriction_level() > RestrictionLevel::ModeratelyRestrictive)
    {
        Some("a word of it mixes scripts that look alike; write it in one".to_owned())
    } else {
        None
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The paths of one skill so far.
#[derive(Debug, Default)]
pub struct Names {
    /// Directories and files as a reader sees them who knows neither case nor normalisation.
    folded: BTreeMap<String, (String, Kind)>,
    /// The same as they look.
    looks: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
}

impl Names {
    /// Adds the path of a file, and with it those of its directories.
    ///
    /// # Errors
    /// It is there already, or is too much like one that is.
    pub fn add_file(&mut self, path: &CanonicalPath) -> Result<(), Malformed> {
        self.add(path, Kind::File)
    }

    /// Adds the path of a directory, which may be there already in the same spelling.
    ///
    /// # Errors
    /// A file has this path, or it is too much like one that is there.
    pub fn add_directory(&mut self, path: &CanonicalPath) -> Result<(), Malformed> {
        self.add(path, Kind::Directory)
    }

    fn add(&mut self, path: &CanonicalPath, kind: Kind) -> Result<(), Malformed> {
        let directories = path
            .0
            .match_indices('/')
            .map(|(at, _)| (&path.0[..at], Kind::Directory));
        for (name, kind) in directories.chain([(path.as_str(), kind)]) {
            let known = self.folded.get(&folded(name));
            match known {
                Some((other, known)) if other == name && (*known, kind) == (Kind::Directory, Kind::Directory) => {
                    continue;
                }
                Some((other, _)) if other == name => {
                    return Err(Malformed::new(name, "it is there twice"));
                }
                Some((other, _)) => {
                    return Err(Malformed::new(
                        name,
                        format!("it and {other:?} are one name without case or normalisation; rename one"),
                    ));
                }
                None => {}
            }
            // Two plain ASCII names may look alike (l1 and ll), as programmers know; others may not.
            let look: String = skeleton(&folded(name)).collect();
            if let Some(other) = self.looks.get(&look)
                && !(other.is_ascii() && name.is_ascii())
            {
                return Err(Malformed::new(name, format!("it looks like {other:?}; rename one")));
            }
            self.looks.insert(look, name.to_owned());
            self.folded.insert(folded(name), (name.to_owned(), kind));
        }
        Ok(())
    }
}

/// Compatibility-normalised, and without case: by upper case first, so that letters of several lower forms are one.
fn folded(name: &str) -> String {
    let upper: String = name.nfkc().collect::<String>().to_uppercase();
    upper.to_lowercase().nfkc().collect()
}

#[cfg(test)]
mod tests;

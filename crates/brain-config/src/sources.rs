//! Where values come from, and which source wins.
//!
//! This is the one place of the project that reads the process environment, and nothing here changes it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::definition::definition;
use crate::dotenv;
use crate::warning::is_ours;
use crate::{Problem, Problems, Warning};

/// Texts by variable name, in three layers: flags win over the environment, which wins over `.env`.
#[derive(Clone, Default)]
pub struct Sources {
    /// From the command line.
    pub flags: BTreeMap<String, String>,
    /// From the process environment.
    pub environment: BTreeMap<String, String>,
    /// From the `.env` file.
    pub dotenv: BTreeMap<String, String>,
    /// Found while reading, reported together with everything else by `Config::load`.
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
}

/// Where the value of one variable came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// The command line.
    Flag,
    /// The process environment.
    Environment,
    /// The `.env` file.
    Dotenv,
    /// Another variable that it follows when it is not set.
    Derived,
    /// The default of its definition.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "the command line",
            Self::Environment => "the environment",
            Self::Dotenv => ".env",
            Self::Derived => "another variable",
            Self::Default => "its default",
        })
    }
}

impl Sources {
    /// Reads the process environment and the given `.env` file, which the environment overrides.
    ///
    /// `flags` holds what the command line set, by variable name. The file `.env` of the working
    /// directory may be absent; any other file that is named must be there. A line of it that cannot
    /// be parsed does not fail here: [`Config::load`](crate::Config::load) reports it with all the rest.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn from_process(dotenv: Option<&Path>, flags: BTreeMap<String, String>) -> Result<Self, Problems> {
        let mut sources = Self {
            flags,
            ..Self::default()
        };
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            // Other programs' variables are none of our business and may hold their secrets.
            if definition(&name).is_none() && !is_ours(&name) {
                continue;
            }
            match value.into_string() {
                Ok(value) => drop(sources.environment.insert(name, value)),
                Err(_) => sources
                    .problems
                    .push(Problem::hidden(&name, Source::Environment, "valid UTF-8".to_owned())),
            }
        }
        if let Some(path) = dotenv {
            sources.read_dotenv(path)?;
        }
        Ok(sources)
    }

    /// Sources of exactly these variables, as if they came from the environment, for tests and for
    /// programs that embed the libraries.
    #[must_use]
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let environment = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self {
            environment,
            ..Self::default()
        }
    }

    /// Adds the variables of a text in the form of a `.env` file. `place` names it in messages.
    #[must_use]
    pub fn with_dotenv_text(mut self, place: &str, text: &str) -> Self {
        let file = dotenv::parse(place, text);
        self.dotenv.extend(file.values);
        self.problems.extend(file.problems);
        self.warnings.extend(file.warnings);
        self
    }

    /// The text for a variable, from the source that wins.
    pub(crate) fn find(&self, name: &str) -> Option<(Source, &str)> {
        self.layers()
            .into_iter()
            .find_map(|(source, layer)| Some((source, layer.get(name)?.as_str())))
    }

    pub(crate) fn layers(&self) -> [(Source, &BTreeMap<String, String>); 3] {
        [
            (Source::Flag, &self.flags),
            (Source::Environment, &self.environment),
            (Source::Dotenv, &self.dotenv),
        ]
    }

    fn read_dotenv(&mut self, path: &Path) -> Result<(), Problems> {
        let place = path.display().to_string();
        let refuse = |expected: String| Problems(vec![Problem::unreadable(place.clone(), expected)]);
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && path == Path::new(".env") => {
                return Ok(());
            }
            Err(error) => return Err(refuse(format!("a readable file ({error})"))),
        };
        let text = String::from_utf8(bytes).map_err(|_| refuse("a text file in UTF-8".to_owned()))?;
        *self = std::mem::take(self).with_dotenv_text(&place, &text);
        Ok(())
    }
}

/// Names only: the texts are not checked yet, and any of them may be a secret.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Sources");
        for (source, layer) in self.layers() {
            shown.field(
                &format!("{source:?}").to_ascii_lowercase(),
                &layer.keys().collect::<Vec<_>>(),
            );
        }
        shown.finish_non_exhaustive()
    }
}

//! What can be wrong with a history of migrations.

use std::path::PathBuf;

use crate::postgres;

/// Why migrations cannot be read, applied or looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be asked.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// The directory or one of its files cannot be read.
    #[error("migrations cannot be read from {path}: {source}")]
    Unreadable {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A file is not called `NNN_name.sql`.
    #[error("{path} is not called NNN_name.sql, as 007_more_tables.sql is")]
    Misnamed {
        /// The file.
        path: PathBuf,
    },
    /// The files are not numbered 1, 2, 3 without a gap.
    #[error("migration {expected:03} is missing: after it comes {found}")]
    Gap {
        /// The number that should come next.
        expected: i32,
        /// The file that came instead.
        found: String,
    },
    /// Two files have the same number.
    #[error("{first} and {second} have the same number")]
    Repeated {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// A file is not what was applied.
    #[error(
        "{name} was changed after it was applied (its checksum was {applied}, now it is {found}); \
         restore it and put the change into a new migration"
    )]
    Changed {
        /// The file.
        name: String,
        /// The checksum that was applied.
        applied: String,
        /// The checksum of the file as it is.
        found: String,
    },
    /// The database knows a migration that is newer than all of these files.
    #[error(
        "the database is newer than this program: it has migration {name}, this program ends with {latest}; \
         use the program that made it, or a newer one"
    )]
    Newer {
        /// The newest migration of the database.
        name: String,
        /// The newest file here.
        latest: String,
    },
    /// The database has later migrations, but not this one.
    #[error("{missing} was never applied though {later} was; this database was made by another history of migrations")]
    Skipped {
        /// The file that was left out.
        missing: String,
        /// A later one that is applied.
        later: String,
    },
    /// A migration failed and was rolled back.
    #[error("{name} failed{}: {source}", .line.map(|line| format!(" at line {line}")).unwrap_or_default())]
    Failed {
        /// The file.
        name: String,
        /// The line that the server points at, counted from 1.
        line: Option<usize>,
        /// What the server says.
        source: postgres::Error,
    },
}

impl Error {
    /// Whether running the migrations again may succeed without any change.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Postgres(error) | Self::Failed { source: error, .. } => error.retryable(),
            _ => false,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error.into())
    }
}

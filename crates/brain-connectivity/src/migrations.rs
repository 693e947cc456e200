//! Migrations: one linear history of SQL files, applied in order, each once.
//!
//! An applied file never changes: its checksum is stored, and a difference is refused by name. Any number of
//! processes may run the migrations at once; they take turns.

mod error;
mod file;
mod plan;
mod runner;
mod schema;
mod status;

use std::path::Path;

use jiff::Timestamp;

pub use self::error::Error;
pub use self::file::Migration;
pub use self::schema::{Difference, Item, Schema};
pub use self::status::{MigrationStatus, State, Status};
use crate::postgres::Postgres;

/// Name and text of every file in `migrations/`, in order.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// A migration that was applied, as `brain_migrations` records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub version: i32,
    /// Its file name without number and ending.
    pub name: String,
    /// The SHA-256 of its text, in hexadecimal.
    pub checksum: String,
    /// When it was applied.
    pub applied_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
}

impl Applied {
    /// The file it came from.
    #[must_use]
    pub fn file_name(&self) -> String {
        file::file_name(self.version, &self.name)
    }
}

/// A history of migrations, and the schema it leads to.
#[derive(Debug, Clone)]
pub struct Migrations {
    files: Vec<Migration>,
    expected: Option<Schema>,
}

impl Migrations {
    /// The history that this build carries.
    #[must_use]
    pub fn embedded() -> Self {
        let files = EMBEDDED
            .iter()
            // The build checked the names, so none is left out here; a unit test holds it to that.
            .filter_map(|(name, sql)| Migration::parse(name, sql))
            .collect();
        Self {
            files,
            expected: Some(Schema::expected()),
        }
    }

    /// The history in a directory of `NNN_name.sql` files, without a schema to verify.
    ///
    /// # Errors
    /// When the directory cannot be read, or its files are not numbered 1, 2, 3 without a gap.
    pub fn from_dir(directory: &Path) -> Result<Self, Error> {
        Ok(Self {
            files: file::read_dir(directory)?,
            expected: None,
        })
    }

    /// The migrations in order.
    #[must_use]
    pub fn files(&self) -> &[Migration] {
        &self.files
    }

    /// Applies what is pending, each migration in a transaction of its own, and gives what it applied.
    ///
    /// Waits, however long it takes, for another process that is at it.
    ///
    /// # Errors
    /// When the database was made by other files than these, a migration fails, or the connection is lost. What was
    /// applied before the failure stays.
    pub async fn up(&self, postgres: &Postgres) -> Result<Vec<Applied>, Error> {
        runner::up(postgres, &self.files).await
    }

    /// What is applied, pending or changed, and how the schema differs from what the code relies on.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn status(&self, postgres: &Postgres) -> Result<Status, Error> {
        status::status(postgres, &self.files, self.expected.as_ref()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_file_is_a_migration_in_order() {
        let files = Migrations::embedded().files;
        assert_eq!(files.len(), EMBEDDED.len());
        assert!((1..).zip(&files).all(|(version, file)| file.version == version));
    }
}

//! Where a database stands against a history of migrations and the schema it leads to.

use std::fmt;

use jiff::Timestamp;

use super::{Applied, Difference, Error, Migration, Schema, file, plan, runner};
use crate::postgres::Postgres;

/// Where one migration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is applied.
    Applied {
        /// When.
        at: Timestamp,
        /// How long it took, in milliseconds.
        duration_ms: i64,
    },
    /// It is not applied yet.
    Pending,
    /// It is applied, but its file was changed since.
    Changed,
    /// It is applied, but this program has no such file.
    Unknown,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Applied { .. } => "applied",
            Self::Pending => "pending",
            Self::Changed => "changed",
            Self::Unknown => "unknown",
        })
    }
}

/// One migration and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its number.
    pub version: i32,
    /// Its file.
    pub file_name: String,
    /// Where it stands.
    pub state: State,
}

/// Where a database stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Every migration that the program or the database knows, in order.
    pub migrations: Vec<MigrationStatus>,
    /// How the schema differs from what the code relies on; none when it was not compared, because there is
    /// nothing to compare with or migrations are pending.
    pub differences: Option<Vec<Difference>>,
}

impl Status {
    /// How many migrations are applied as they are.
    #[must_use]
    pub fn applied(&self) -> usize {
        self.count(|state| matches!(state, State::Applied { .. }))
    }

    /// How many migrations are not applied yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.count(|state| *state == State::Pending)
    }

    /// What is wrong, one sentence each; nothing when the database is as the code needs it.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for migration in &self.migrations {
            let name = &migration.file_name;
            match migration.state {
                State::Applied { .. } => {}
                State::Pending => problems.push(format!("{name} is pending")),
                State::Changed => problems.push(format!("{name} was changed after it was applied")),
                State::Unknown => problems.push(format!("{name} is unknown to this program")),
            }
        }
        let differences = self.differences.iter().flatten();
        problems.extend(differences.map(ToString::to_string));
        problems
    }

    fn count(&self, wanted: impl Fn(&State) -> bool) -> usize {
        self.migrations
            .iter()
            .filter(|migration| wanted(&migration.state))
            .count()
    }
}

pub(super) async fn status(
    postgres: &Postgres,
    files: &[Migration],
    expected: Option<&Schema>,
) -> Result<Status, Error> {
    let client = postgres.client().await?;
    let recorded = client
        .query_one("SELECT to_regclass('brain_migrations') IS NOT NULL", &[])
        .await?;
    let applied = if recorded.try_get(0)? {
        runner::applied(&client).await?
    } else {
        Vec::new()
    };
    let migrations = compare(files, &applied);
    let pending = migrations.iter().any(|m| m.state == State::Pending);
    let differences = match expected {
        Some(expected) if !pending => Some(expected.differences(&Schema::read(&**client).await?)),
        _ => None,
    };
    Ok(Status {
        migrations,
        differences,
    })
}

fn compare(files: &[Migration], applied: &[Applied]) -> Vec<MigrationStatus> {
    let mut all: Vec<MigrationStatus> = files
        .iter()
        .map(|file| MigrationStatus {
            version: file.version,
            file_name: file.file_name(),
            state: match applied.iter().find(|row| row.version == file.version) {
                None => State::Pending,
                Some(row) if plan::is_changed(file, row) => State::Changed,
                Some(row) => State::Applied {
                    at: row.applied_at,
                    duration_ms: row.duration_ms,
                },
            },
        })
        .collect();
    let unknown = applied
        .iter()
        .filter(|row| files.iter().all(|file| file.version != row.version));
    all.extend(unknown.map(|row| MigrationStatus {
        version: row.version,
        file_name: file::file_name(row.version, &row.name),
        state: State::Unknown,
    }));
    all.sort_by_key(|migration| migration.version);
    all
}

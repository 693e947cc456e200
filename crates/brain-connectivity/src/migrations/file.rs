//! A migration file: its number, name, text and checksum.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::Error;

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its number, from 1.
    pub version: i32,
    /// Its file name without number and ending.
    pub name: String,
    /// Its statements.
    pub sql: String,
    /// The SHA-256 of its statements, in hexadecimal.
    pub checksum: String,
}

impl Migration {
    /// The migration in a file of this name; `None` when it is not called `NNN_name.sql`.
    pub(super) fn parse(file_name: &str, sql: &str) -> Option<Self> {
        let (number, name) = file_name.strip_suffix(".sql")?.split_once('_')?;
        if number.len() != 3 || !number.bytes().all(|b| b.is_ascii_digit()) || name.is_empty() {
            return None;
        }
        // A checkout may turn line ends around; that is no change of the migration.
        let sql = sql.replace("\r\n", "\n");
        let checksum = Sha256::digest(sql.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Some(Self {
            version: number.parse().ok()?,
            name: name.to_owned(),
            sql,
            checksum,
        })
    }

    /// The file it came from.
    #[must_use]
    pub fn file_name(&self) -> String {
        file_name(self.version, &self.name)
    }
}

/// The name of the file of a migration.
pub(super) fn file_name(version: i32, name: &str) -> String {
    format!("{version:03}_{name}.sql")
}

/// The migrations in a directory, in order.
pub(super) fn read_dir(directory: &Path) -> Result<Vec<Migration>, Error> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Unreadable { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable(directory))? {
        let path = entry.map_err(unreadable(directory))?.path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let sql = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
        let migration = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| Migration::parse(name, &sql))
            .ok_or(Error::Misnamed { path })?;
        files.push(migration);
    }
    files.sort_by(|a, b| (a.version, &a.name).cmp(&(b.version, &b.name)));
    check_order(&files)?;
    Ok(files)
}

fn check_order(files: &[Migration]) -> Result<(), Error> {
    for pair in files.windows(2) {
        if pair[0].version == pair[1].version {
            return Err(Error::Repeated {
                first: pair[0].file_name(),
                second: pair[1].file_name(),
            });
        }
    }
    match (1..).zip(files).find(|(n, file)| file.version != *n) {
        Some((expected, file)) => Err(Error::Gap {
            expected,
            found: file.file_name(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(names: &[&str]) -> Vec<Migration> {
        names.iter().filter_map(|name| Migration::parse(name, "")).collect()
    }

    #[test]
    fn only_three_digits_and_a_name_make_a_migration() {
        for name in [
            "1_a.sql",
            "0001_a.sql",
            "001.sql",
            "001_.sql",
            "001_a.txt",
            "abc_a.sql",
            "+01_a.sql",
        ] {
            assert_eq!(Migration::parse(name, ""), None, "{name}");
        }
        let migration = Migration::parse("012_add_more.sql", "SELECT 1;");
        assert_eq!(
            migration.map(|m| (m.version, m.name, m.checksum)),
            Some((
                12,
                "add_more".to_owned(),
                "17db4fd369edb9244b9f91d9aeed145c3d04ad8ba6e95d06247f07a63527d11a".to_owned()
            ))
        );
    }

    #[test]
    fn line_ends_do_not_change_the_checksum() {
        let unix = Migration::parse("001_a.sql", "SELECT 1;\nSELECT 2;\n");
        assert_eq!(unix, Migration::parse("001_a.sql", "SELECT 1;\r\nSELECT 2;\r\n"));
    }

    #[test]
    fn a_gap_and_a_repeated_number_are_refused_by_name() {
        let gap = check_order(&numbered(&["001_a.sql", "003_c.sql"]));
        assert_eq!(
            gap.err().map(|e| e.to_string()).as_deref(),
            Some("migration 002 is missing: after it comes 003_c.sql")
        );
        let twice = check_order(&numbered(&["001_a.sql", "002_b.sql", "002_c.sql"]));
        assert_eq!(
            twice.err().map(|e| e.to_string()).as_deref(),
            Some("002_b.sql and 002_c.sql have the same number")
        );
        assert!(check_order(&numbered(&["001_a.sql", "002_b.sql"])).is_ok());
    }
}

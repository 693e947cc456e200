//! What is left to apply: a pure decision over the files and the rows of `brain_migrations`.

use super::{Applied, Error, Migration};

/// The migrations that are not applied yet, in order.
///
/// # Errors
/// `Changed`, `Newer` or `Skipped` when the database was not made by these files.
pub(super) fn pending<'a>(files: &'a [Migration], applied: &[Applied]) -> Result<Vec<&'a Migration>, Error> {
    let latest = files.last().map_or(0, |file| file.version);
    if let Some(newest) = applied.iter().max_by_key(|row| row.version)
        && newest.version > latest
    {
        return Err(Error::Newer {
            name: newest.file_name(),
            latest: files.last().map_or_else(|| "none".to_owned(), Migration::file_name),
        });
    }

    let mut pending: Vec<&Migration> = Vec::new();
    for file in files {
        let Some(row) = applied.iter().find(|row| row.version == file.version) else {
            pending.push(file);
            continue;
        };
        if let Some(missing) = pending.first() {
            return Err(Error::Skipped {
                missing: missing.file_name(),
                later: row.file_name(),
            });
        }
        if is_changed(file, row) {
            return Err(Error::Changed {
                name: file.file_name(),
                applied: row.checksum.clone(),
                found: file.checksum.clone(),
            });
        }
    }
    Ok(pending)
}

/// Whether a file is not what was applied under its number.
pub(super) fn is_changed(file: &Migration, row: &Applied) -> bool {
    file.checksum != row.checksum
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn files(count: i32) -> Vec<Migration> {
        (1..=count)
            .filter_map(|n| Migration::parse(&format!("{n:03}_step.sql"), &format!("SELECT {n};")))
            .collect()
    }

    fn applied(file: &Migration) -> Applied {
        Applied {
            version: file.version,
            name: file.name.clone(),
            checksum: file.checksum.clone(),
            applied_at: Timestamp::UNIX_EPOCH,
            duration_ms: 1,
        }
    }

    fn versions(pending: &[&Migration]) -> Vec<i32> {
        pending.iter().map(|file| file.version).collect()
    }

    #[test]
    fn what_follows_the_applied_ones_is_pending() {
        let files = files(3);
        let rows: Vec<_> = files.iter().take(1).map(applied).collect();
        let pending = pending(&files, &rows);
        assert_eq!(pending.ok().as_deref().map(versions), Some(vec![2, 3]));
    }

    #[test]
    fn a_changed_file_is_refused_by_name() {
        let files = files(2);
        let mut rows: Vec<_> = files.iter().map(applied).collect();
        rows[1].checksum = "other".to_owned();
        let refused = pending(&files, &rows).err().map(|e| e.to_string());
        assert!(refused.is_some_and(|text| text.starts_with("002_step.sql was changed")));
    }

    #[test]
    fn a_newer_database_is_refused_with_both_versions() {
        let files = files(3);
        let rows: Vec<_> = files.iter().map(applied).collect();
        let refused = pending(&files[..2], &rows).err().map(|e| e.to_string());
        assert!(
            refused
                .is_some_and(|text| text.contains("has migration 003_step.sql, this program ends with 002_step.sql"))
        );
    }

    #[test]
    fn a_hole_in_the_applied_ones_is_refused_by_name() {
        let files = files(3);
        let rows = vec![applied(&files[0]), applied(&files[2])];
        let refused = pending(&files, &rows).err().map(|e| e.to_string());
        assert!(refused.is_some_and(|text| text.starts_with("002_step.sql was never applied though 003_step.sql was")));
    }
}

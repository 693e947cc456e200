//! Servers that the machine's own packages brought.

use std::path::PathBuf;

use super::{is_program, on_path};

/// The folder with both `postgres` and `initdb`: on `PATH`, else where Debian, Homebrew and Red Hat's packages put it.
pub(super) fn postgres() -> Option<PathBuf> {
    let complete = |folder: &PathBuf| ["postgres", "initdb"].iter().all(|name| is_program(&folder.join(name)));
    // The programs on PATH may be links; the installation's other files lie beside what they point to.
    let linked = on_path("postgres")
        .and_then(|program| program.canonicalize().ok())
        .and_then(|program| {
            let folder = program.parent()?.to_owned();
            complete(&folder).then_some(folder)
        });
    linked.or_else(|| {
        let mut found: Vec<(u32, PathBuf)> = ["/usr/lib/postgresql", "/usr"]
            .iter()
            .filter_map(|base| std::fs::read_dir(base).ok())
            .flat_map(|entries| entries.flatten())
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let version = name.trim_start_matches("pgsql-").parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .filter(|(_, folder)| complete(folder))
            .collect();
        found.sort();
        found.pop().map(|(_, folder)| folder)
    })
}

/// `valkey-server`, else `redis-server`, on `PATH`.
pub(super) fn valkey() -> Option<PathBuf> {
    on_path("valkey-server").or_else(|| on_path("redis-server"))
}

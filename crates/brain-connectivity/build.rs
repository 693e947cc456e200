//! Lists the files of `migrations/` so that they become part of the binary.
//!
//! What a build embeds is checked here: names `NNN_name.sql`, numbered 1, 2, 3 without a gap.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../migrations");
    let directory = directory
        .canonicalize()
        .map_err(|error| format!("migrations in {}: {error}", directory.display()))?;
    println!("cargo::rerun-if-changed={}", directory.display());

    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();

    let mut list = String::from("&[\n");
    for (index, path) in files.iter().enumerate() {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| format!("{} is not a file name", path.display()))?;
        let expected = format!("{:03}_", index + 1);
        if !name.starts_with(&expected) {
            return Err(format!("migration {name} should be called {expected}NAME.sql").into());
        }
        writeln!(list, "    ({name:?}, include_str!({path:?})),")?;
    }
    list.push_str("]\n");

    let target = PathBuf::from(std::env::var("OUT_DIR")?).join("migrations.rs");
    std::fs::write(target, list)?;
    Ok(())
}

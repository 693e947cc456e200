//! `cargo xtask generate`: files that come from the definitions of the configuration.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::workspace::root;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail when a file is not what would be written
    #[arg(long)]
    check: bool,
}

/// Writes the files, or only looks at them.
pub(crate) fn run(args: Args) -> Result<()> {
    if args.check {
        return check();
    }
    for (path, content) in files() {
        if std::fs::read_to_string(&path).is_ok_and(|present| present == content) {
            println!("unchanged {}", path.display());
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Fails, naming them, when a generated file is not current.
pub(crate) fn check() -> Result<()> {
    let stale: Vec<String> = files()
        .into_iter()
        .filter(|(path, content)| std::fs::read_to_string(path).ok().as_ref() != Some(content))
        .map(|(path, _)| path.display().to_string())
        .collect();
    if !stale.is_empty() {
        bail!("not current: {}; run `cargo xtask generate`", stale.join(", "));
    }
    Ok(())
}

fn files() -> [(PathBuf, String); 2] {
    [
        (root().join(".env.example"), brain_config::reference::env_example()),
        (
            root().join("docs/ENVIRONMENT_REFERENCE.md"),
            brain_config::reference::markdown(),
        ),
    ]
}

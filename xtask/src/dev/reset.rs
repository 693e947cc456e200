//! `cargo xtask dev-reset`: stops everything and removes all data of the development stack, after asking.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::down::stop_all;
use super::layout::Layout;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let layout = Layout::of_this_clone()?;
    if !layout.dev().is_dir() && !layout.state().is_dir() {
        println!("there is nothing to remove");
        return Ok(ExitCode::SUCCESS);
    }
    println!("This stops the development stack and removes all its data:");
    println!("  {}", layout.dev().display());
    if layout.moved {
        println!("  {}", layout.state().display());
    }
    if layout.engine_note().is_file() {
        println!("  the Docker volumes of compose/compose.yaml");
    }
    if !args.yes && !confirmed()? {
        println!("nothing was removed");
        return Ok(ExitCode::FAILURE);
    }
    layout.create()?;
    let lock = layout.lock()?;
    stop_all(&layout, true)?;
    if layout.moved {
        remove(layout.state())?;
    }
    // The lock's file goes with the folder; whoever waits for it starts afresh.
    remove(layout.dev())?;
    drop(lock);
    println!("removed");
    Ok(ExitCode::SUCCESS)
}

fn confirmed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody can be asked here; `--yes` says yes");
    }
    print!("Go on? [y/N] ");
    std::io::stdout().flush().context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}; does another user own it?", folder.display()))
        }
        _ => Ok(()),
    }
}

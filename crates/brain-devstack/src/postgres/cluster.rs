//! The data folder: made by `initdb`, whole or not at all, and freed of locks that no process holds any more.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{PASSWORD, SUPERUSER, beside};
use crate::account::{Account, private_directory};
use crate::process::{Identity, bare_environment};

/// Makes sure that `data_dir` holds a cluster that these programs can run.
pub(super) async fn prepare(bin: &Path, data_dir: &Path, account: Option<&Account>) -> Result<()> {
    let version = data_dir.join("PG_VERSION");
    if version.is_file() {
        return require_same_version(bin, data_dir);
    }
    let has_files = std::fs::read_dir(data_dir).is_ok_and(|mut entries| entries.next().is_some());
    if has_files {
        bail!(
            "{} holds files that are not a PostgreSQL cluster; remove it or choose another folder",
            data_dir.display()
        );
    }
    let (bin, data_dir, account) = (bin.to_owned(), data_dir.to_owned(), account.cloned());
    tokio::task::spawn_blocking(move || create(&bin, &data_dir, account.as_ref()))
        .await
        .context("the task that runs initdb ended early")?
}

/// Runs `initdb` in a folder beside the final one and renames it, so that an interrupted run leaves nothing half made.
fn create(bin: &Path, data_dir: &Path, account: Option<&Account>) -> Result<()> {
    let workshop = beside(data_dir, "new");
    if workshop.exists() {
        std::fs::remove_dir_all(&workshop).with_context(|| format!("cannot remove {}", workshop.display()))?;
    }
    private_directory(&workshop, account)?;
    let password_file = workshop.join("password");
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&password_file)
        .and_then(|mut file| file.write_all(PASSWORD.as_bytes()))
        .with_context(|| format!("cannot write {}", password_file.display()))?;
    if let Some(account) = account {
        account.take_over(&password_file)?;
    }
    let fresh = workshop.join("data");
    let initdb = bin.join("initdb");
    let mut command = Command::new(&initdb);
    bare_environment(&mut command, &workshop);
    command
        .arg("-D")
        .arg(&fresh)
        .args([
            "-U",
            SUPERUSER,
            "--locale=C",
            "--encoding=UTF8",
            "--auth=scram-sha-256",
            "--no-instructions",
        ])
        .arg("--pwfile")
        .arg(&password_file)
        .current_dir(&workshop)
        .stdin(Stdio::null());
    if let Some(account) = account {
        account.apply(&mut command);
    }
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", initdb.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let _ = std::fs::remove_dir_all(&workshop);
        bail!(
            "initdb could not make the database cluster {}:\n{said}",
            data_dir.display()
        );
    }
    if data_dir.exists() {
        std::fs::remove_dir(data_dir).with_context(|| format!("cannot replace {}", data_dir.display()))?;
    }
    std::fs::rename(&fresh, data_dir).with_context(|| format!("cannot move the cluster to {}", data_dir.display()))?;
    std::fs::remove_dir_all(&workshop).with_context(|| format!("cannot remove {}", workshop.display()))
}

fn require_same_version(bin: &Path, data_dir: &Path) -> Result<()> {
    let made_by = std::fs::read_to_string(data_dir.join("PG_VERSION"))
        .with_context(|| format!("cannot read the version of {}", data_dir.display()))?;
    let output = Command::new(bin.join("postgres"))
        .arg("--version")
        .output()
        .with_context(|| format!("cannot start {}", bin.join("postgres").display()))?;
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let here = answer
        .split_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let major = here
        .and_then(|version| version.split(['.', 'b', 'r', 'd']).next())
        .unwrap_or_default();
    if major != made_by.trim() {
        bail!(
            "{} was made by PostgreSQL {}, and {} is version {major}; `cargo xtask dev-reset` starts afresh, or set {} \
             to the old version's folder",
            data_dir.display(),
            made_by.trim(),
            bin.display(),
            crate::binaries::POSTGRES_VARIABLE
        );
    }
    Ok(())
}

/// Removes `postmaster.pid` when the process it names is not a server on this folder. PostgreSQL itself only looks
/// whether any process has that id, and after a restart of the machine some other program may.
pub(super) fn clear_stale_lock(data_dir: &Path) -> Result<()> {
    let lock = data_dir.join("postmaster.pid");
    let Ok(text) = std::fs::read_to_string(&lock) else {
        return Ok(());
    };
    let owner = text.lines().next().and_then(|line| line.trim().parse::<i32>().ok());
    if let Some(pid) = owner
        && Identity::of(pid).is_some()
        && serves(pid, data_dir)
    {
        bail!(
            "process {pid} is a PostgreSQL server on {} already; stop it first",
            data_dir.display()
        );
    }
    std::fs::remove_file(&lock).with_context(|| format!("cannot remove the stale lock {}", lock.display()))
}

/// Whether this process was started on this data folder. Where that cannot be told, assume so.
fn serves(pid: i32, data_dir: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
        return !cfg!(target_os = "linux");
    };
    line.split(|byte| *byte == 0)
        .any(|argument| argument == data_dir.as_os_str().as_encoded_bytes())
}

//! The clone that xtask works on: its folders, its cargo, its programs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use brain_devstack::Binaries;
use cargo_metadata::Message;

use crate::dev::Settings;
use crate::progress::Progress;
use crate::signals::runtime;

/// The top folder of the clone.
pub(crate) fn root() -> PathBuf {
    // Set by `cargo run`; the constant serves when the program is started by itself.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
    let manifest = PathBuf::from(manifest);
    manifest.parent().map(Path::to_owned).unwrap_or(manifest)
}

/// The cargo that runs xtask, at the top of the clone.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(root());
    // `cargo run` describes xtask in these variables. Build scripts that watch them would run again for no reason.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// The server programs, installed when they are not there yet; says what there is to say about them.
pub(crate) fn servers() -> Result<Binaries> {
    let progress = Progress::start("looking for the servers");
    let binaries = Binaries::locate_or_install(&|line| progress.change(line))?;
    drop(progress);
    for note in &binaries.notes {
        eprintln!("note: {note}");
    }
    Ok(binaries)
}

/// Builds the `brain` program and returns where it is. Dropping the future ends the build.
pub(crate) async fn build_brain(release: bool) -> Result<PathBuf> {
    let kind = if release { "optimised" } else { "debug" };
    let progress = Progress::start(&format!("building brain ({kind})"));
    let mut command = cargo();
    command.args([
        "build",
        "--package",
        "brain-bin",
        "--bin",
        "brain",
        "--message-format=json-render-diagnostics",
    ]);
    if release {
        command.arg("--release");
    }
    // Cargo's own progress would fight with ours; its diagnostics come through all the same.
    command
        .arg("--quiet")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut command = tokio::process::Command::from(command);
    let output = command
        .kill_on_drop(true)
        .spawn()
        .context("cannot start cargo")?
        .wait_with_output();
    let output = output.await.context("cannot read cargo's messages")?;
    drop(progress);
    if !output.status.success() {
        bail!("brain could not be built; the compiler's messages are above");
    }
    for message in Message::parse_stream(output.stdout.as_slice()) {
        if let Message::CompilerArtifact(artifact) = message.context("cannot read cargo's messages")?
            && artifact.target.name == "brain"
            && let Some(executable) = artifact.executable
        {
            return Ok(executable.into_std_path_buf());
        }
    }
    bail!("cargo built no program named brain")
}

/// Builds `brain`, runs it with the settings of development, and hands on its exit code.
pub(crate) fn run_brain(arguments: &[&str]) -> Result<ExitCode> {
    let settings = Settings::load()?;
    let program = runtime()?.block_on(build_brain(false))?;
    let status = Command::new(&program)
        .args(arguments)
        .envs(settings.environment())
        .current_dir(root())
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

//! `brain skill` and `brain sandbox`: their commands and options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, ListArgs, OneArgs, ServerArgs, SkillRegistryCommand};

/// `brain skill ...`
#[derive(Debug, Subcommand)]
pub(crate) enum SkillCommand {
    /// Install a skill from the registry of the server
    Install(SkillInstallArgs),
    /// List installed skills
    List {
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List what the registry of the server offers
    Search {
        /// Look at the registry now, not at what was seen last
        #[arg(long)]
        refresh: bool,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Show an installed skill with what it may do
    Show(SkillArgs),
    /// Read every file of an installed skill again; exit code 1 when one is not what was installed
    Verify(SkillArgs),
    /// Remove a skill: it is not started any more
    Remove {
        /// The skill, as name@version
        skill: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Remove from the server's disk what no tenant has installed
    Gc {
        #[command(flatten)]
        one: OneArgs,
    },
    /// Call a skill and print its answer
    Call(SkillCallArgs),
    /// Check a directory that is to become a bundle; exit code 1 when something is wrong
    Check {
        /// The directory with manifest.json
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
    },
    /// Make and keep a signed registry
    #[command(subcommand)]
    Registry(SkillRegistryCommand),
}

/// Options of `brain skill install`.
#[derive(Debug, Args)]
pub(crate) struct SkillInstallArgs {
    /// The skill, as name@version
    pub(crate) skill: String,
    /// The digest that its tree must have: 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    pub(crate) digest: Option<String>,
    /// Install it although a newer version is installed
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
    /// The swarm that is told [default: the server's STUDIO_BRAIN_SWARM_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) swarm: Option<String>,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

/// Options of commands about one skill.
#[derive(Debug, Args)]
pub(crate) struct SkillArgs {
    /// The skill, as name@version
    pub(crate) skill: String,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

/// Options of `brain skill call`.
#[derive(Debug, Args)]
pub(crate) struct SkillCallArgs {
    /// The skill, as name@version
    pub(crate) skill: String,
    /// One of its commands; of an MCP server, the name of a tool
    pub(crate) command: String,
    /// What it works on: a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", conflicts_with = "file")]
    pub(crate) payload: String,
    /// Read it from this file; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How long it may take [default: the server's STUDIO_BRAIN_SKILL_SANDBOX_ENTRY_TIMEOUT_MS]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=120_000))]
    pub(crate) timeout_ms: Option<u64>,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

/// `brain sandbox ...`
#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// Try each mechanism that confines skills on this machine, as this user; exit code 1 when a required one is missing
    Check {
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
    },
}

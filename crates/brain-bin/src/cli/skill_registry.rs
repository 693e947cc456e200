//! `brain skill registry`: its commands and options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `brain skill registry ...`
#[derive(Debug, Subcommand)]
pub(crate) enum SkillRegistryCommand {
    /// Make a registry in a new directory, with a key for each role where there is none yet
    Init {
        /// Directory of the registry
        #[arg(value_name = "DIR")]
        registry: PathBuf,
        /// Directory of the keys root.pem, targets.pem, snapshot.pem and timestamp.pem; those that are missing are made
        #[arg(long, value_name = "DIR")]
        keys: PathBuf,
        /// Another key of the root, by its 64 hexadecimal digits; may be repeated
        #[arg(long, value_name = "HEX")]
        root: Vec<String>,
        /// How many keys of the root must sign
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        root_threshold: u64,
    },
    /// Make keys, and exchange those of a role
    #[command(subcommand)]
    Key(RegistryKeyCommand),
    /// Let somebody publish skills, or not any more
    #[command(subcommand)]
    Publisher(RegistryPublisherCommand),
    /// Pack the bundle in a directory and publish it
    Publish {
        /// Directory of the bundle
        #[arg(value_name = "BUNDLE")]
        bundle: PathBuf,
        /// Who publishes it
        #[arg(long, value_name = "NAME")]
        publisher: String,
        #[command(flatten)]
        change: RegistryChangeArgs,
    },
    /// Revoke a skill: no brain installs or starts it any more
    Revoke {
        /// The skill, as name@version, or the digest of its tree, as sha256:...
        subject: String,
        /// Why, for everybody to read
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        change: RegistryChangeArgs,
    },
    /// Sign snapshot and timestamp again before they expire; run it more often than once a day
    Refresh {
        /// Sign this role again too: root, targets or a publisher; may be repeated
        #[arg(long, value_name = "ROLE")]
        renew: Vec<String>,
        #[command(flatten)]
        change: RegistryChangeArgs,
    },
    /// Show what waits for signatures
    Waiting {
        /// Directory of the registry
        #[arg(long, value_name = "DIR")]
        registry: PathBuf,
    },
    /// Sign what waits for signatures
    Sign {
        #[command(flatten)]
        change: RegistryChangeArgs,
    },
    /// Forget what waits for signatures
    Discard {
        /// Directory of the registry
        #[arg(long, value_name = "DIR")]
        registry: PathBuf,
    },
}

/// `brain skill registry key ...`
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryKeyCommand {
    /// Make a key; its public half is printed
    Generate {
        /// The file to write
        file: PathBuf,
    },
    /// Print the public half of a key
    Show {
        /// The file of the key
        file: PathBuf,
    },
    /// Give a role other keys; of the root, the quorum before and the new one must sign
    Rotate {
        /// root, targets, snapshot, timestamp or a publisher
        role: String,
        #[command(flatten)]
        of: RoleArgs,
        #[command(flatten)]
        change: RegistryChangeArgs,
    },
}

/// `brain skill registry publisher ...`
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryPublisherCommand {
    /// Let a publisher offer skills under some names
    Add {
        /// Name of the publisher
        name: String,
        /// Names that are the publisher's own, such as "acme-*"; may be repeated
        #[arg(long, value_name = "GLOB", required = true)]
        names: Vec<String>,
        #[command(flatten)]
        of: RoleArgs,
        #[command(flatten)]
        change: RegistryChangeArgs,
    },
    /// Take a publisher's names away; its skills are no longer offered
    Remove {
        /// Name of the publisher
        name: String,
        #[command(flatten)]
        change: RegistryChangeArgs,
    },
}

/// The keys of a role.
#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    /// A key of it, by its 64 hexadecimal digits; may be repeated
    #[arg(long, value_name = "HEX", required = true)]
    pub(crate) public: Vec<String>,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) threshold: u64,
}

/// What every change of a registry is told.
#[derive(Debug, Args)]
pub(crate) struct RegistryChangeArgs {
    /// Directory of the registry
    #[arg(long, value_name = "DIR")]
    pub(crate) registry: PathBuf,
    /// A key file to sign with, or a directory of such files (*.pem); may be repeated
    #[arg(long = "keys", value_name = "PATH", required = true)]
    pub(crate) keys: Vec<PathBuf>,
}

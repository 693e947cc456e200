//! `brain audit`: its commands and options.

use std::path::PathBuf;

use brain_swarm::audit::PublicKey;
use clap::{Args, Subcommand};

use super::{Format, ListArgs, ServerArgs};

/// `brain audit ...`
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List records, newest first
    List(AuditListArgs),
    /// Write the trail, or a part of it, as lines of JSON that can be verified offline
    Export(AuditExportArgs),
    /// Verify an export without a server or a database; exit code 1 when it is not what was recorded
    Verify(AuditVerifyArgs),
    /// Make, show and rotate the key that signs checkpoints and exports
    #[command(subcommand)]
    Key(AuditKeyCommand),
}

/// Options of `brain audit list`.
#[derive(Debug, Args)]
pub(crate) struct AuditListArgs {
    /// Only actions that begin like this, such as token.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) action: Option<String>,
    /// Only what this principal did, such as admin or token:0123456789abcdef
    #[arg(long, value_name = "ID")]
    pub(crate) actor: Option<String>,
    /// Only records in this state: not_required, pending, approved, rejected, exempt or denied
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Only what was done to this thing
    #[arg(long, value_name = "ID")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Options of `brain audit export`.
#[derive(Debug, Args)]
pub(crate) struct AuditExportArgs {
    /// Where to write it; - is standard output
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// From the record with this number [default: the first]
    #[arg(long, value_name = "N")]
    pub(crate) from_seq: Option<i64>,
    /// Up to the record with this number [default: the last]
    #[arg(long, value_name = "N")]
    pub(crate) to_seq: Option<i64>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Options of `brain audit verify`.
#[derive(Debug, Args)]
pub(crate) struct AuditVerifyArgs {
    /// The export; - reads standard input
    pub(crate) file: PathBuf,
    /// A public key that is trusted, and whoever it endorses; may be repeated. With one, an export that is not signed is refused
    #[arg(long, value_name = "PUBLIC_KEY")]
    pub(crate) key: Vec<PublicKey>,
    /// How to print the verdict
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// `brain audit key ...`
#[derive(Debug, Subcommand)]
pub(crate) enum AuditKeyCommand {
    /// Make a key in a new file that only its owner can read, and print its public half
    Generate {
        /// The file
        file: PathBuf,
    },
    /// Print the public half of the key in a file
    Show {
        /// The file
        file: PathBuf,
    },
    /// Let a new key follow the old one, in the database of the settings
    Rotate {
        /// File with the key that signs until now; it endorses the new one
        #[arg(long, value_name = "FILE", required_unless_present = "lost")]
        old: Option<PathBuf>,
        /// The old key is lost: nobody endorses the new one, and whoever verifies must be given it
        #[arg(long, conflicts_with = "old")]
        lost: bool,
        /// File with the key that signs from now on
        #[arg(long, value_name = "FILE")]
        new: PathBuf,
    },
}

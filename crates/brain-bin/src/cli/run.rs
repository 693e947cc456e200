//! `brain run`: its commands and options.

use clap::Subcommand;

use super::{ChangeArgs, ListArgs, ServerArgs, ShowArgs};

/// `brain run ...`
#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// List runs
    List {
        /// Runs of this swarm [default: the server's STUDIO_BRAIN_SWARM_ID]
        #[arg(long, value_name = "ID")]
        swarm: Option<String>,
        /// Only runs of this state: open, finished or cancelled
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one run with its tasks by how they stand
    Show {
        /// Id of the run
        run: String,
        #[command(flatten)]
        show: ShowArgs,
    },
    /// Call a run off with all its open tasks
    Cancel {
        /// Id of the run
        run: String,
        /// Why, for whoever looks at it later
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// End a run and sum it up; its open tasks go on
    Finish {
        /// Id of the run
        run: String,
        /// What to say at its end, as a JSON object
        #[arg(long, value_name = "JSON")]
        summary: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

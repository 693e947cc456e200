//! `brain budget`: its commands and options.

use clap::Subcommand;

use super::{ChangeArgs, ListArgs, ServerArgs, ShowArgs};

/// `brain budget ...`
#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// List budgets
    List {
        /// Budgets of this swarm [default: the server's STUDIO_BRAIN_SWARM_ID]
        #[arg(long, value_name = "ID")]
        swarm: Option<String>,
        /// Only budgets of this state: open, paused or stopped
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one budget
    Show {
        /// Id of the budget
        budget: String,
        #[command(flatten)]
        show: ShowArgs,
    },
    /// Make a budget
    Create {
        /// How many units there are
        #[arg(long, value_name = "N")]
        max_units: u64,
        /// What they count, such as tokens [default: units]
        #[arg(long)]
        unit: Option<String>,
        /// Id of the budget [default: a new one]
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Give a budget more; the tasks that waited for it go on
    Raise {
        /// Id of the budget
        budget: String,
        /// How many units there are from now on, those that are spent included
        #[arg(long, value_name = "N")]
        max_units: u64,
        /// Why, for whoever looks at it later
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Stop a budget for good; the open tasks of its tree are cancelled
    Stop {
        /// Id of the budget
        budget: String,
        /// Why, for whoever looks at it later
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

//! `brain task`: its commands and options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ChangeArgs, ListArgs, ServerArgs, ShowArgs};

/// `brain task ...`
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List tasks
    List {
        /// Tasks of this swarm [default: the server's STUDIO_BRAIN_SWARM_ID]
        #[arg(long, value_name = "ID")]
        swarm: Option<String>,
        /// Only tasks of this run
        #[arg(long, value_name = "ID")]
        run: Option<String>,
        /// Only tasks of this status: created, assigned, running, completed, failed or cancelled
        #[arg(long)]
        status: Option<String>,
        /// Only tasks that this agent holds or held last
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one task with its inputs, outputs and the history of its attempts
    Show {
        /// Id of the task
        task: String,
        #[command(flatten)]
        show: ShowArgs,
    },
    /// Create one task, or all tasks of a file, together or not at all
    Create(Box<TaskCreateArgs>),
    /// Call a task off; its worker learns at its next heartbeat
    Cancel {
        /// Id of the task
        task: String,
        /// Why, for whoever looks at it later
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Give a failed or cancelled task another try
    Retry {
        /// Id of the task
        task: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Give a task to an agent, and take it from whoever has it
    Reassign {
        /// Id of the task
        task: String,
        /// The agent that is to have it
        #[arg(long, value_name = "ID")]
        to: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Options of `brain task create`.
#[derive(Debug, Args)]
pub(crate) struct TaskCreateArgs {
    /// Id of the task [default: a new one]
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    pub(crate) id: Option<String>,
    /// What its worker needs to know, as a JSON object
    #[arg(long, value_name = "JSON", conflicts_with = "file")]
    pub(crate) inputs: Option<String>,
    /// Tasks as one JSON object, an array, {"tasks": [...]} or JSON lines; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Run of tasks that name none [default: the server's run]
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Only agents of this role fit
    #[arg(long, conflicts_with = "file")]
    pub(crate) role: Option<String>,
    /// Only agents with this capability fit
    #[arg(long, conflicts_with = "file")]
    pub(crate) capability: Option<String>,
    /// Give it to this agent
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    pub(crate) agent: Option<String>,
    /// From -1000 to 1000; higher goes first [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, conflicts_with = "file")]
    pub(crate) priority: Option<i64>,
    /// How often it may be started [default: 3]
    #[arg(long, value_name = "N", conflicts_with = "file")]
    pub(crate) max_attempts: Option<u64>,
    /// Not before this time, such as 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME", conflicts_with_all = ["file", "delay_ms"])]
    pub(crate) run_at: Option<String>,
    /// Not before so many milliseconds have passed
    #[arg(long, value_name = "MS", conflicts_with = "file")]
    pub(crate) delay_ms: Option<u64>,
    /// The same key creates one task, however often it is used
    #[arg(long, value_name = "KEY", conflicts_with = "file")]
    pub(crate) idempotency_key: Option<String>,
    /// Not before this task completed; may be repeated
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    pub(crate) depends_on: Vec<String>,
    /// What the failure of such a task does: cancel, wait or run [default: cancel]
    #[arg(long, value_name = "POLICY", conflicts_with = "file")]
    pub(crate) on_dependency_failure: Option<String>,
    /// Tasks of one key share a limit
    #[arg(long, value_name = "KEY", conflicts_with = "file")]
    pub(crate) concurrency_key: Option<String>,
    /// How many tasks of the key may run at once [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "file")]
    pub(crate) concurrency_limit: Option<u64>,
    /// The task whose tree it belongs to
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    pub(crate) parent: Option<String>,
    /// The budget that it may spend from
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    pub(crate) budget: Option<String>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

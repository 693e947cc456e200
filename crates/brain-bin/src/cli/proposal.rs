//! `brain proposal`: its commands and options.

use clap::{Args, Subcommand};

use super::{ListArgs, OneArgs, ServerArgs};

/// `brain proposal ...`
#[derive(Debug, Subcommand)]
pub(crate) enum ProposalCommand {
    /// Propose to use a capability; it waits for a person where the policy wants one
    Create(ProposalCreateArgs),
    /// List proposals, newest first
    List {
        /// Only those in this state: draft, pending_approval, approved, rejected or executed
        #[arg(long)]
        status: Option<String>,
        /// Only those of this capability
        #[arg(long, value_name = "ID")]
        capability: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one proposal: exactly what would be sent, what was decided, and what came of it
    Show {
        /// Id of the proposal
        proposal: String,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Approve a proposal, after showing exactly what will happen
    Approve(ProposalApproveArgs),
    /// Reject a proposal
    Reject(ProposalReasonArgs),
    /// Take back what was decided, so that it waits again; for administrators
    Reopen(ProposalReasonArgs),
    /// Say what an execution would be answered, and send nothing; exit code 1 when it would be refused
    DryRun(ProposalExecuteArgs),
    /// Execute a proposal, once; exit code 1 unless it succeeded
    Execute(ProposalExecuteArgs),
    /// Undo what was executed, once, where the capability can; exit code 1 unless that succeeded
    Rollback(ProposalReasonArgs),
}

/// Options of `brain proposal create`.
#[derive(Debug, Args)]
pub(crate) struct ProposalCreateArgs {
    /// What is to be used
    #[arg(long, value_name = "ID")]
    pub(crate) capability: String,
    /// The arguments: a JSON object, @FILE for one in a file, or - for one on standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) input: String,
    /// What is to happen, in a sentence
    #[arg(long)]
    pub(crate) summary: String,
    /// Why, in at least 10 characters
    #[arg(long)]
    pub(crate) rationale: String,
    /// What is expected to come of it; may be repeated
    #[arg(long = "effect", value_name = "TEXT")]
    pub(crate) effects: Vec<String>,
    /// Through which delegation, where an agent asks
    #[arg(long, value_name = "ID")]
    pub(crate) delegation: Option<String>,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

/// Options of `brain proposal approve`.
#[derive(Debug, Args)]
pub(crate) struct ProposalApproveArgs {
    /// Id of the proposal
    pub(crate) proposal: String,
    /// Why, in at least 10 characters
    #[arg(long)]
    pub(crate) reason: String,
    /// Approve although an intake rule found something
    #[arg(long)]
    pub(crate) overrule: bool,
    /// Do not show it, and do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

/// Options of what is done to a proposal with a reason.
#[derive(Debug, Args)]
pub(crate) struct ProposalReasonArgs {
    /// Id of the proposal
    pub(crate) proposal: String,
    /// Why, in at least 10 characters
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

/// Options of `brain proposal dry-run` and `brain proposal execute`.
#[derive(Debug, Args)]
pub(crate) struct ProposalExecuteArgs {
    /// Id of the proposal
    pub(crate) proposal: String,
    /// Refuse when the proposal is of another capability than this one
    #[arg(long, value_name = "ID")]
    pub(crate) capability: Option<String>,
    /// Refuse when these are not the arguments that were proposed: a JSON object, @FILE or -
    #[arg(long, value_name = "JSON")]
    pub(crate) input: Option<String>,
    /// Through which delegation [default: that of the proposal]
    #[arg(long, value_name = "ID")]
    pub(crate) delegation: Option<String>,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

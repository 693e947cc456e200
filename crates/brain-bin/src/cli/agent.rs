//! `brain agent`: its commands and options.

use clap::{Args, Subcommand};

use super::{ChangeArgs, ListArgs, ServerArgs, ShowArgs};

/// `brain agent ...`
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// List agents
    List {
        /// Agents of this swarm [default: the server's STUDIO_BRAIN_SWARM_ID]
        #[arg(long, value_name = "ID")]
        swarm: Option<String>,
        /// Only agents of this status: live or lost
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Let an agent join, or join again with other properties
    Register(AgentRegisterArgs),
    /// Let an agent finish what it has and give it nothing new
    Drain {
        /// Id of the agent
        agent: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Give an agent tasks again
    Resume {
        /// Id of the agent
        agent: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Say something to an agent, which finds it in its inbox
    Message {
        /// Id of the agent
        agent: String,
        /// What to say
        message: String,
        /// Something for programs, as JSON
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        /// The task that it is about
        #[arg(long, value_name = "ID")]
        task: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Options of `brain agent register`.
#[derive(Debug, Args)]
pub(crate) struct AgentRegisterArgs {
    /// Id of the agent
    pub(crate) agent: String,
    /// What it is [default: worker]
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// Something that it can do; may be repeated
    #[arg(long)]
    pub(crate) capability: Vec<String>,
    /// How many tasks it may hold at once [default: any number]
    #[arg(long, value_name = "N")]
    pub(crate) capacity: Option<u64>,
    /// pull: it claims its tasks; push: it is given them [default: pull]
    #[arg(long, value_name = "HOW")]
    pub(crate) assignment: Option<String>,
    /// The run it joins with [default: the server's run]
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

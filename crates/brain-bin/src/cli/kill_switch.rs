//! `brain kill-switch`: its commands and options.

use clap::{Args, Subcommand};

use super::OneArgs;

/// `brain kill-switch ...`
#[derive(Debug, Subcommand)]
pub(crate) enum KillSwitchCommand {
    /// Stop: when this has returned, nothing is dispatched any more on any replica
    On(KillSwitchArgs),
    /// Let things be dispatched again
    Off(KillSwitchArgs),
    /// Say how the switches of the tenant and of the installation stand
    Status {
        #[command(flatten)]
        one: OneArgs,
    },
}

/// Options of turning a kill switch.
#[derive(Debug, Args)]
pub(crate) struct KillSwitchArgs {
    /// Why, in at least 10 characters
    #[arg(long)]
    pub(crate) reason: String,
    /// The switch of all tenants, for the administrator of the installation [default: that of the caller's tenant]
    #[arg(long)]
    pub(crate) installation: bool,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

//! The S3 server of the development stack as a program of its own, which `dev-up` starts in the background.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use brain_devstack::S3Server;
use brain_devstack::account::Account;

use crate::signals::{Ending, runtime};

/// The hidden command.
pub(crate) const COMMAND: &str = "__s3-server";
/// Variables for the keys: on the command line every user of the machine could read them.
pub(crate) const ACCESS_KEY: &str = "STUDIO_BRAIN_ARTIFACT_STORE_ACCESS_KEY";
pub(crate) const SECRET_KEY: &str = "STUDIO_BRAIN_ARTIFACT_STORE_SECRET_KEY";

/// `s3s::ops` calls every refused or unknown key an error; what goes wrong inside is logged elsewhere.
const LOGGED: &str = "info,s3s::ops=off";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the objects; when root starts the server, it runs as the owner of this folder
    #[arg(long)]
    root: PathBuf,
    #[arg(long)]
    port: u16,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    if let Some(account) = Account::for_directory(&args.root)? {
        account.become_it()?;
    }
    tracing_subscriber::fmt()
        .with_env_filter(LOGGED)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let key = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let (access_key, secret_key) = (key(ACCESS_KEY)?, key(SECRET_KEY)?);
    runtime()?.block_on(async {
        let mut ending = Ending::listen()?;
        let mut server = S3Server::start(&args.root, args.port, &access_key, &secret_key).await?;
        tracing::info!(port = server.port(), root = %args.root.display(), "s3 server started");
        ending.next().await;
        server.stop().await?;
        tracing::info!("s3 server stopped");
        Ok(ExitCode::SUCCESS)
    })
}

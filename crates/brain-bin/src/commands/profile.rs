//! `brain profile`: lists, keeps and removes profiles.

use std::io::Read as _;

use anyhow::{Context as _, bail};
use brain_config::SecretString;
use serde_json::json;

use super::listing::{self, Column, text};
use crate::cli::{ProfileCommand, ProfileSetArgs};
use crate::client::given_url;
use crate::exit::Verdict;
use crate::profiles::{Profile, Profiles};

/// The longest token that is read, in bytes.
const MAX_TOKEN: u64 = 16 * 1024;

const COLUMNS: [Column; 3] = [
    ("PROFILE", |profile| text(profile, "profile")),
    ("SERVER", |profile| text(profile, "server")),
    ("TOKEN", |profile| text(profile, "token")),
];

pub(super) fn run(command: ProfileCommand) -> anyhow::Result<Verdict> {
    match command {
        ProfileCommand::List { output } => {
            let profiles = Profiles::read()?;
            let shown: Vec<_> = profiles
                .iter()
                .map(|(name, profile)| {
                    let token = if profile.token.is_some() { "[set]" } else { "[missing]" };
                    json!({ "profile": name, "server": profile.server, "token": token })
                })
                .collect();
            listing::print(output, "profiles", &shown, false, &COLUMNS)?;
        }
        ProfileCommand::Set(ProfileSetArgs {
            name,
            server,
            token_stdin,
        }) => {
            given_url(&server)?;
            let token = token_stdin.then(read_token).transpose()?;
            let mut profiles = Profiles::read()?;
            let server = Some(server);
            profiles.set(&name, Profile { server, token })?;
            profiles.write()?;
        }
        ProfileCommand::Remove { name } => {
            let mut profiles = Profiles::read()?;
            if !profiles.remove(&name) {
                bail!("there is no profile {name}");
            }
            profiles.write()?;
        }
    }
    Ok(Verdict::Ok)
}

fn read_token() -> anyhow::Result<SecretString> {
    let mut text = String::new();
    let input = std::io::stdin().lock().take(MAX_TOKEN).read_to_string(&mut text);
    input.context("cannot read the token from standard input")?;
    match text.trim() {
        "" => bail!("standard input holds no token"),
        token => Ok(token.into()),
    }
}

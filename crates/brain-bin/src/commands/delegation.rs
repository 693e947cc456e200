//! `brain delegation`: makes, lists and revokes delegations.

use brain_config::Config;
use serde_json::Value;

use super::listing::{self, Column, moment, text, words};
use super::steering::{self, Body};
use crate::cli::DelegationCommand;
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::table::fields;

const DELEGATIONS: [&str; 3] = ["api", "capabilities", "delegations"];

const COLUMNS: [Column; 6] = [
    ("DELEGATION", |it| text(it, "delegationId")),
    ("OWNER", |it| text(it, "ownerId")),
    ("AGENT", |it| text(it, "agentId")),
    ("SCOPES", |it| words(it, "scopes")),
    ("EXPIRES", |it| moment(it, "expiresAt")),
    ("REVOKED", |it| moment(it, "revokedAt")),
];

pub(super) async fn run(config: &Config, command: DelegationCommand) -> anyhow::Result<Verdict> {
    match command {
        DelegationCommand::Create(args) => {
            let body = Body::default()
                .with("agentId", Some(args.agent.as_str()))
                .with("ownerId", args.owner.as_deref())
                .with_all("scopes", &args.scopes)
                .with("expiresInMs", Some(listing::life_ms(&args.expires_in)?))
                .with("reason", Some(args.reason.as_str()));
            steering::alter(config, &DELEGATIONS, &args.one, body, shown).await?;
        }
        DelegationCommand::List { actor, list, server } => {
            let query = listing::query(&[("actorId", &actor)]);
            let client = Client::new(config, &server)?;
            let (delegations, more) = client.list(&DELEGATIONS, "delegations", &query, list.limit).await?;
            listing::print(list.output, "delegations", &delegations, more, &COLUMNS)?;
        }
        DelegationCommand::Revoke {
            delegation,
            reason,
            one,
        } => {
            let path = [&DELEGATIONS[..], &[&delegation, "revoke"]].concat();
            let body = Body::default().with("reason", Some(reason));
            steering::alter(config, &path, &one, body, shown).await?;
        }
    }
    Ok(Verdict::Ok)
}

fn shown(it: &Value) -> String {
    fields([
        ("delegation", text(it, "delegationId")),
        ("owner", text(it, "ownerId")),
        ("agent", text(it, "agentId")),
        ("scopes", words(it, "scopes")),
        ("reason", text(it, "reason")),
        ("created", moment(it, "createdAt")),
        ("created by", text(it, "createdBy")),
        ("expires", moment(it, "expiresAt")),
        ("revoked", moment(it, "revokedAt")),
        ("revoked by", text(it, "revokedBy")),
    ])
}

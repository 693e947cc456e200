//! `brain exemption`: grants, lists and revokes exemptions.

use brain_config::Config;
use serde_json::Value;

use super::listing::{self, Column, moment, text};
use super::steering::{self, Body};
use crate::cli::ExemptionCommand;
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::table::fields;

const EXEMPTIONS: [&str; 4] = ["api", "capabilities", "policy", "exemptions"];

const COLUMNS: [Column; 6] = [
    ("EXEMPTION", |it| text(it, "exemptionId")),
    ("CAPABILITY", |it| text(it, "capabilityId")),
    ("STATE", state),
    ("EXPIRES", |it| moment(it, "expiresAt")),
    ("BY", |it| text(it, "grantedBy")),
    ("REASON", |it| text(it, "reason")),
];

pub(super) async fn run(config: &Config, command: ExemptionCommand) -> anyhow::Result<Verdict> {
    match command {
        ExemptionCommand::Grant(args) => {
            let body = Body::default()
                .with("capabilityId", Some(args.capability.as_str()))
                .with("expiresInMs", Some(listing::life_ms(&args.expires_in)?))
                .with("reason", Some(args.reason.as_str()));
            steering::alter(config, &EXEMPTIONS, &args.one, body, shown).await?;
        }
        ExemptionCommand::List { list, server } => {
            let client = Client::new(config, &server)?;
            let (exemptions, more) = client.list(&EXEMPTIONS, "exemptions", &[], list.limit).await?;
            listing::print(list.output, "exemptions", &exemptions, more, &COLUMNS)?;
        }
        ExemptionCommand::Revoke { exemption, reason, one } => {
            let path = [&EXEMPTIONS[..], &[&exemption, "revoke"]].concat();
            let body = Body::default().with("reason", Some(reason));
            steering::alter(config, &path, &one, body, shown).await?;
        }
    }
    Ok(Verdict::Ok)
}

fn state(it: &Value) -> String {
    let is = |field: &str| it.get(field).is_some_and(|value| !value.is_null());
    match it.get("active") {
        Some(Value::Bool(true)) => "active",
        _ if is("revokedAt") => "revoked",
        _ => "over",
    }
    .to_owned()
}

fn shown(it: &Value) -> String {
    fields([
        ("exemption", text(it, "exemptionId")),
        ("capability", text(it, "capabilityId")),
        ("state", state(it)),
        ("granted", moment(it, "grantedAt")),
        ("granted by", text(it, "grantedBy")),
        ("reason", text(it, "reason")),
        ("expires", moment(it, "expiresAt")),
        ("revoked", moment(it, "revokedAt")),
        ("revoked by", text(it, "revokedBy")),
        ("revoked for", text(it, "revokedReason")),
    ])
}

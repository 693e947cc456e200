//! `brain token`: makes, lists, shows and revokes API tokens; `brain whoami`.
//!
//! With `--database` it works on the database itself, as the first token of an installation needs it: whoever may write there
//! may do everything anyway.

use anyhow::Context as _;
use brain_config::{Config, ExposeSecret as _};
use brain_connectivity::postgres::Postgres;
use brain_http::access::{Role, Scope, Scopes, TokenId, tokens};
use brain_swarm::ids::{ActorId, TenantId};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::listing::{self, Column, ago, moment, text, words};
use super::steering::Body;
use crate::cli::{Format, ServerArgs, TokenCommand, TokenCreateArgs};
use crate::client::Client;
use crate::exit::{Usage, Verdict};
use crate::render::{self, table::fields};

const TOKENS: [&str; 2] = ["api", "tokens"];

/// Who made or revoked it, where the database was written without a server.
const OPERATOR: &str = "database";

const COLUMNS: [Column; 8] = [
    ("TOKEN", |token| text(token, "tokenId")),
    ("NAME", |token| text(token, "name")),
    ("TENANT", |token| text(token, "tenantId")),
    ("ROLE", |token| text(token, "role")),
    ("SCOPES", |token| words(token, "scopes")),
    ("STATE", |token| text(token, "state")),
    ("EXPIRES", |token| moment(token, "expiresAt")),
    ("USED", |token| ago(token, "lastUsedAt")),
];

pub(super) async fn run(config: &Config, command: TokenCommand) -> anyhow::Result<Verdict> {
    match command {
        TokenCommand::Create(args) => {
            let made = match args.database {
                true => create_in_database(config, &args).await?,
                false => create(config, &args).await?,
            };
            match args.output {
                Format::Json => render::print_json(&made)?,
                Format::Table => render::print(&format!(
                    "{}\n\nkeep the token now: it is not shown again",
                    fields(
                        [("token", text(&made, "token")), ("", String::new())]
                            .into_iter()
                            .chain(rows(&made))
                    )
                ))?,
            }
        }
        TokenCommand::List { list, server } => {
            let (tokens, more) = Client::new(config, &server)?
                .list(&TOKENS, "tokens", &[], list.limit)
                .await?;
            listing::print(list.output, "tokens", &tokens, more, &COLUMNS)?;
        }
        TokenCommand::Show { id, output, server } => {
            let token = Client::new(config, &server)?.get(&path(&id), &[]).await?;
            print(&token, output)?;
        }
        TokenCommand::Revoke {
            id,
            database,
            output,
            server,
        } => {
            let revoked = if database {
                revoke_in_database(config, &id).await?
            } else {
                Client::new(config, &server)?
                    .change(Method::DELETE, &path(&id), &[], None)
                    .await?
            };
            print(&revoked, output)?;
        }
    }
    Ok(Verdict::Ok)
}

/// Says who the server takes the caller for.
pub(super) async fn whoami(config: &Config, server: &ServerArgs, output: Format) -> anyhow::Result<Verdict> {
    let who = Client::new(config, server)?.get(&["api", "whoami"], &[]).await?;
    match output {
        Format::Json => render::print_json(&who)?,
        Format::Table => render::print(&fields([
            ("caller", text(&who, "id")),
            ("name", text(&who, "actorId")),
            ("tenant", text(&who, "tenantId")),
            ("role", text(&who, "role")),
            ("scopes", words(&who, "scopes")),
            ("bound", text(&who, "bound")),
        ]))?,
    }
    Ok(Verdict::Ok)
}

fn path(token: &str) -> [&str; 3] {
    [TOKENS[0], TOKENS[1], token]
}

fn print(token: &Value, output: Format) -> anyhow::Result<()> {
    match output {
        Format::Json => render::print_json(token),
        Format::Table => Ok(render::print(&fields(rows(token)))?),
    }
}

fn rows(token: &Value) -> [(&'static str, String); 14] {
    [
        ("id", text(token, "tokenId")),
        ("name", text(token, "name")),
        ("tenant", text(token, "tenantId")),
        ("role", text(token, "role")),
        ("scopes", words(token, "scopes")),
        ("bound", text(token, "bound")),
        ("state", text(token, "state")),
        ("requests/s", text(token, "requestsPerSecond")),
        ("streams", text(token, "maxStreams")),
        ("body bytes", text(token, "maxBodyBytes")),
        ("created", moment(token, "createdAt")),
        ("created by", text(token, "createdBy")),
        ("expires", moment(token, "expiresAt")),
        ("revoked", moment(token, "revokedAt")),
    ]
}

async fn create(config: &Config, args: &TokenCreateArgs) -> anyhow::Result<Value> {
    let bound = args.bound.then_some(true);
    let body = Body::default()
        .with("name", Some(args.name.as_str()))
        .with("role", Some(args.role.as_str()))
        .with_all("scopes", &args.scopes)
        .with("tenantId", args.tenant.as_deref())
        .with("bound", bound)
        .with(
            "expiresInMs",
            life(args)?.map(|life| i64::try_from(life.as_millis()).unwrap_or(i64::MAX)),
        )
        .with("requestsPerSecond", args.requests_per_second)
        .with("maxStreams", args.max_streams)
        .with("maxBodyBytes", args.max_body_bytes);
    let body = serde_json::to_vec(&body.into_fields())?;
    Ok(Client::new(config, &args.server)?.post(&TOKENS, Some(body)).await?)
}

async fn create_in_database(config: &Config, args: &TokenCreateArgs) -> anyhow::Result<Value> {
    let scopes: Result<Vec<Scope>, _> = args.scopes.iter().map(|scope| scope.parse()).collect();
    let scopes: Scopes = scopes
        .and_then(TryInto::try_into)
        .map_err(|error| Usage(format!("--scope: {error}")))?;
    let tenant = args.tenant.clone().map(TenantId::new).transpose();
    let new = tokens::NewToken {
        tenant_id: tenant
            .map_err(|error| Usage(format!("--tenant: {error}")))?
            .unwrap_or_else(TenantId::single),
        name: ActorId::new(args.name.as_str()).map_err(|error| Usage(format!("--name: {error}")))?,
        role: args
            .role
            .parse::<Role>()
            .map_err(|error| Usage(format!("--role: {error}")))?,
        scopes,
        bound: args.bound,
        expires_at: life(args)?.map(|life| Timestamp::now() + life),
        requests_per_second: args.requests_per_second,
        max_streams: args.max_streams,
        max_body_bytes: args.max_body_bytes,
        created_by: OPERATOR.to_owned(),
    };
    let postgres = Postgres::open(&config.postgres)?;
    let made = tokens::create(&postgres, &new).await.context(NO_TABLE)?;
    let (stored, token) = made;
    let mut made = serde_json::to_value(&stored)?;
    made["token"] = json!(token.reveal().expose_secret());
    Ok(made)
}

async fn revoke_in_database(config: &Config, token: &str) -> anyhow::Result<Value> {
    let id: TokenId = token.parse().map_err(|error| Usage(format!("{token}: {error}")))?;
    let postgres = Postgres::open(&config.postgres)?;
    let revoked = tokens::revoke(&postgres, None, id, OPERATOR).await.context(NO_TABLE)?;
    let (revoked, _) = revoked.with_context(|| format!("there is no token {id}"))?;
    Ok(serde_json::to_value(&revoked)?)
}

const NO_TABLE: &str = "the database does not do it; `brain migrate` brings it to this version";

/// How long the token is to live.
fn life(args: &TokenCreateArgs) -> Result<Option<SignedDuration>, Usage> {
    args.expires_in.as_deref().map(listing::life).transpose()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn life_of(text: &str) -> Option<SignedDuration> {
        let words = [
            "brain",
            "token",
            "create",
            "--name",
            "n",
            "--role",
            "agent",
            "--expires-in",
            text,
        ];
        let Ok(Command::Token(TokenCommand::Create(args))) = Cli::try_parse_from(words).map(|cli| cli.command) else {
            return None;
        };
        life(&args).ok().flatten()
    }

    #[test]
    fn a_life_is_written_as_people_write_it() {
        assert_eq!(life_of("45m"), Some(SignedDuration::from_mins(45)));
        assert_eq!(life_of("30d"), Some(SignedDuration::from_hours(720)));
        assert_eq!(life_of("1d 12h"), Some(SignedDuration::from_hours(36)));
        for wrong in ["", "0s", "5", "soon", "1month", "99999999d"] {
            assert_eq!(life_of(wrong), None, "{wrong}");
        }
    }
}

//! API tokens in the database: made, listed, revoked, looked up.
//!
//! Invariants: the secret of a token leaves this module once, in the answer to its creation; a token that was revoked stays
//! revoked; neither happens without its record in the audit trail of the token's tenant, and each has one.

use brain_connectivity::postgres::{self, Postgres};
use brain_swarm::{
    audit::{self, Actor, Entry, Metadata},
    ids::{ActorId, TenantId},
};
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{Row, Transaction};

use super::{Role, Scopes, Token, TokenId};

/// What the record of a token that was made says was done.
pub const CREATED: &str = "token.create";
/// What the record of a token that was revoked says was done.
pub const REVOKED: &str = "token.revoke";

/// Why a token could not be made, read or revoked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or was away.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// It could not be recorded, so it was not done.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// A row holds what this version does not know, such as a role.
    #[error("the row of token {0} holds what this version does not know")]
    Unreadable(TokenId),
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    Randomness(#[source] getrandom::Error),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What a token is to be.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Whose rows its holder sees.
    pub tenant_id: TenantId,
    /// Who its holder is: the actor of events that name none.
    pub name: ActorId,
    /// What its holder may do at most.
    pub role: Role,
    /// What it is narrowed to.
    pub scopes: Scopes,
    /// Whether its holder may speak as `name` alone.
    pub bound: bool,
    /// When it ends; never, where there is none.
    pub expires_at: Option<Timestamp>,
    /// Requests a second, in place of what the configuration says.
    pub requests_per_second: Option<i32>,
    /// Event streams at the same time, in place of what the configuration says.
    pub max_streams: Option<i32>,
    /// The largest body in bytes, where it is to be smaller than everybody's.
    pub max_body_bytes: Option<i32>,
    /// Who makes it.
    pub created_by: String,
}

/// Whether a token lets its holder in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "TokenState")]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// A token as it is stored, without its secret.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Token")]
#[serde(rename_all = "camelCase")]
pub struct StoredToken {
    /// Its public part.
    pub token_id: TokenId,
    /// Whose rows its holder sees.
    pub tenant_id: TenantId,
    /// Who its holder is.
    pub name: ActorId,
    /// What its holder may do at most.
    pub role: Role,
    /// What it is narrowed to; not at all, where the list is empty.
    pub scopes: Scopes,
    /// Whether its holder may speak as `name` alone.
    pub bound: bool,
    /// Whether it lets its holder in.
    pub state: State,
    /// Requests a second, where they differ from what the configuration says.
    pub requests_per_second: Option<i32>,
    /// Event streams at the same time, where they differ from what the configuration says.
    pub max_streams: Option<i32>,
    /// The largest body in bytes, where it is smaller than everybody's.
    pub max_body_bytes: Option<i32>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Who revoked it.
    pub revoked_by: Option<String>,
    /// When.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// Some tokens, and after which one the next page goes on.
#[derive(Debug)]
pub struct Page {
    /// By id.
    pub tokens: Vec<StoredToken>,
    /// The last one, where there are more.
    pub next: Option<TokenId>,
}

/// Makes a token.
///
/// # Errors
/// As [`Error`] says.
pub async fn create(postgres: &Postgres, new: &NewToken) -> Result<(StoredToken, Token), Error> {
    let token = Token::generate().map_err(Error::Randomness)?;
    let scopes: Vec<String> = new.scopes.iter().map(ToString::to_string).collect();
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    let row = transaction
        .query_one(
            include_str!("sql/insert_token.sql"),
            &[
                &token.id().to_string(),
                &new.tenant_id.as_str(),
                &new.name.as_str(),
                &new.role.as_str(),
                &scopes,
                &new.bound,
                &token.digest().as_slice(),
                &new.requests_per_second,
                &new.max_streams,
                &new.max_body_bytes,
                &new.created_by,
                &new.expires_at,
            ],
        )
        .await?;
    let stored = read(&row).ok_or(Error::Unreadable(token.id()))?;
    let what = Metadata::default()
        .with("name", stored.name.as_str())
        .with("role", stored.role.as_str())
        .with("scopes", scopes)
        .with("bound", stored.bound)
        .maybe("expiresAt", stored.expires_at);
    record(
        &transaction,
        (CREATED, &new.created_by),
        (&new.tenant_id, token.id()),
        what,
    )
    .await?;
    transaction.commit().await?;
    Ok((stored, token))
}

/// Tokens by id: of one tenant, or of all.
///
/// # Errors
/// As [`Error`] says.
pub async fn list(
    postgres: &Postgres,
    tenant: Option<&TenantId>,
    after: Option<TokenId>,
    limit: usize,
) -> Result<Page, Error> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    // One more than asked for says whether there are more.
    let rows = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let client = postgres.client().await?;
    let rows = client
        .query(
            include_str!("sql/select_token_page.sql"),
            &[&tenant.map(TenantId::as_str), &after, &rows],
        )
        .await?;
    // A row that cannot be read is left out; the page goes on behind it all the same.
    let last = rows.get(limit).and(rows.get(limit.saturating_sub(1)));
    let next = last.and_then(|row| row.get::<_, &str>("token_id").parse().ok());
    let tokens = rows.iter().take(limit).filter_map(read).collect();
    Ok(Page { tokens, next })
}

/// One token: of one tenant, or of any.
///
/// # Errors
/// As [`Error`] says.
pub async fn get(postgres: &Postgres, tenant: Option<&TenantId>, id: TokenId) -> Result<Option<StoredToken>, Error> {
    let found = find(postgres, id).await?.map(|(stored, _)| stored);
    Ok(found.filter(|stored| tenant.is_none_or(|tenant| *tenant == stored.tenant_id)))
}

/// Revokes a token, of one tenant or of any; none, when there is no such token. Replicas that know it forget it within a second.
/// Gives the token, and whether that is new: one that was revoked before stays as it is, and nothing is recorded.
///
/// # Errors
/// As [`Error`] says.
pub async fn revoke(
    postgres: &Postgres,
    tenant: Option<&TenantId>,
    id: TokenId,
    by: &str,
) -> Result<Option<(StoredToken, bool)>, Error> {
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    let row = transaction
        .query_opt(
            include_str!("sql/revoke_token.sql"),
            &[&id.to_string(), &tenant.map(TenantId::as_str), &by],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let new = row.get("is_new");
    if new {
        // What this version cannot show is revoked all the same.
        let tenant = TenantId::new(row.get::<_, &str>("tenant_id")).map_err(|_| Error::Unreadable(id))?;
        let what = Metadata::default().with("name", row.get::<_, &str>("name"));
        record(&transaction, (REVOKED, by), (&tenant, id), what).await?;
    }
    transaction.commit().await?;
    let token = read(&row).ok_or(Error::Unreadable(id))?;
    Ok(Some((token, new)))
}

/// Whose credential it is that was made or revoked, and by whom.
async fn record(
    transaction: &Transaction<'_>,
    (action, by): (&'static str, &str),
    (tenant, id): (&TenantId, TokenId),
    what: Metadata,
) -> Result<(), Error> {
    let entry = Entry {
        metadata: what,
        ..Entry::new(Actor::principal(by), action, id.to_string())
    };
    audit::append(transaction, tenant, entry).await?;
    Ok(())
}

/// A token with the digest of its secret.
pub(super) async fn find(postgres: &Postgres, id: TokenId) -> Result<Option<(StoredToken, Vec<u8>)>, Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("sql/select_token.sql")).await?;
    let row = client.query_opt(&statement, &[&id.to_string()]).await?;
    Ok(row.and_then(|row| Some((read(&row)?, row.get("secret_sha256")))))
}

/// Notes that a token was used.
pub(super) async fn touch(postgres: &Postgres, id: TokenId) -> Result<(), Error> {
    let client = postgres.client().await?;
    client
        .execute(include_str!("sql/touch_token.sql"), &[&id.to_string()])
        .await?;
    Ok(())
}

/// What a row says; none, when this version does not know what is in it, so that its holder is not let in.
pub(super) fn read(row: &Row) -> Option<StoredToken> {
    let scopes: Vec<&str> = row.get("scopes");
    let scopes: Result<Vec<_>, _> = scopes.into_iter().map(str::parse).collect();
    let (expires_at, revoked_at): (Option<Timestamp>, Option<Timestamp>) =
        (row.get("expires_at"), row.get("revoked_at"));
    let state = match (revoked_at, expires_at) {
        (Some(_), _) => State::Revoked,
        (None, Some(end)) if end <= Timestamp::now() => State::Expired,
        _ => State::Active,
    };
    Some(StoredToken {
        token_id: row.get::<_, &str>("token_id").parse().ok()?,
        tenant_id: TenantId::new(row.get::<_, &str>("tenant_id")).ok()?,
        name: ActorId::new(row.get::<_, &str>("name")).ok()?,
        role: row.get::<_, &str>("role").parse().ok()?,
        scopes: scopes.ok()?.try_into().ok()?,
        bound: row.get("bound"),
        state,
        requests_per_second: row.get("requests_per_second"),
        max_streams: row.get("max_streams"),
        max_body_bytes: row.get("max_body_bytes"),
        created_by: row.get("created_by"),
        created_at: row.get("created_at"),
        expires_at,
        revoked_by: row.get("revoked_by"),
        revoked_at,
        last_used_at: row.get("last_used_at"),
    })
}

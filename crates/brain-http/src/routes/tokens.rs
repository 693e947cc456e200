//! `/api/tokens`: giving, listing and revoking API tokens; `/api/whoami`: what the caller's own credential allows.
//!
//! Invariants: nobody gives what they do not have: the role, the scopes and the tenant of a new token lie within those of the
//! caller; a tenant's administrator sees the tokens of that tenant alone.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_config::ExposeSecret as _;
use brain_swarm::ids::{ActorId, TenantId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Segment, segment};
use crate::{
    access::{
        Caller, Principal, Role, Scope, TokenId,
        tokens::{self, NewToken, StoredToken},
    },
    app::App,
    audit,
    cursor::{self, List},
    object,
    problem::{Kind, Problem},
    query::Query,
    reply,
};

/// The longest that a token may be valid, in milliseconds: a hundred years.
const MAX_LIFE_MS: i64 = 100 * 365 * 24 * 3_600_000;

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "TokenPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    tokens: Vec<StoredToken>,
    next_cursor: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "GivenToken")]
pub(crate) struct Receipt {
    /// The token itself. It is shown here and never again.
    token: String,
    #[serde(flatten)]
    stored: StoredToken,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewToken")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Given {
    name: ActorId,
    role: Role,
    #[serde(default)]
    #[schemars(length(max = 64))]
    scopes: Vec<Scope>,
    tenant_id: Option<TenantId>,
    #[serde(default)]
    bound: bool,
    #[schemars(range(min = 1, max = MAX_LIFE_MS))]
    expires_in_ms: Option<i64>,
    #[schemars(range(min = 1))]
    requests_per_second: Option<i32>,
    #[schemars(range(min = 1))]
    max_streams: Option<i32>,
    #[schemars(range(min = 1))]
    max_body_bytes: Option<i32>,
}

/// Who the caller is, and what it may do.
pub(crate) async fn whoami(caller: Caller, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    reply::json(StatusCode::OK, &*caller)
}

/// Makes a token, and shows it for the only time.
pub(crate) async fn create(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let given: Given = object::read(&app, request).await?;
    let new = given.read(&caller)?;
    let postgres = app.services.postgres.clone();
    let creating = app.to_the_end(async move {
        let (stored, token) = tokens::create(&postgres, &new).await?;
        audit::recorded(&caller, tokens::CREATED, &stored.tenant_id, &stored.token_id);
        Ok((stored, token))
    });
    let (stored, token) = creating.await?;
    let receipt = Receipt {
        token: token.reveal().expose_secret().to_owned(),
        stored,
    };
    reply::json(StatusCode::CREATED, &receipt)
}

/// Tokens by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["cursor", "limit"])?;
    let scope = cursor::Scope::new(List::Tokens, &[reach(&caller).map(TenantId::as_str)]);
    let after = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let page = tokens::list(&app.services.postgres, reach(&caller), after, query.limit()?).await?;
    let next_cursor = page.next.map(|id| scope.encode(&id.to_string()));
    reply::json(
        StatusCode::OK,
        &Page {
            tokens: page.tokens,
            next_cursor,
        },
    )
}

/// One token.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let id: TokenId = segment("tokenId", path)?;
    Query::parse(uri.query(), &[])?;
    match tokens::get(&app.services.postgres, reach(&caller), id).await? {
        Some(token) => reply::thing(&token),
        None => Err(unknown(id)),
    }
}

/// Revokes a token.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let id: TokenId = segment("tokenId", path)?;
    Query::parse(uri.query(), &[])?;
    let state = Arc::clone(&app);
    let revoking = app.to_the_end(async move {
        let revoked = tokens::revoke(&state.services.postgres, reach(&caller), id, &caller.id).await;
        // Also where what was revoked cannot be shown.
        state.gate.forget(id);
        let (token, new) = revoked?.ok_or_else(|| unknown(id))?;
        if new {
            audit::recorded(&caller, tokens::REVOKED, &token.tenant_id, &id);
        }
        Ok(token)
    });
    reply::json(StatusCode::OK, &revoking.await?)
}

/// Whose tokens a caller deals with; everybody's, where there is none.
fn reach(caller: &Principal) -> Option<&TenantId> {
    (!caller.installation).then_some(&caller.tenant_id)
}

fn unknown(id: TokenId) -> Problem {
    Problem::new(Kind::NotFound, format!("there is no token {id}"))
}

impl Given {
    fn read(self, caller: &Principal) -> Result<NewToken, Problem> {
        let refuse = |detail: &str| Problem::new(Kind::Forbidden, detail.to_owned());
        let wrong = |detail: &str| Problem::new(Kind::InvalidRequest, detail.to_owned());
        let tenant_id = match self.tenant_id {
            Some(tenant) if caller.installation || tenant == caller.tenant_id => tenant,
            Some(_) => return Err(refuse("a tenant's administrator gives tokens of that tenant alone")),
            None => caller.tenant_id.clone(),
        };
        let scopes = self
            .scopes
            .try_into()
            .map_err(|_| wrong("there are more than 64 scopes"))?;
        if self.role > caller.role || !crate::access::Scopes::within(&scopes, &caller.scopes) {
            return Err(refuse(
                "nobody gives what they do not have: the role or a scope goes beyond the caller's own",
            ));
        }
        caller.speaks_as(&self.name)?;
        if caller.bound && !self.bound {
            return Err(refuse("a caller that is bound gives bound tokens alone"));
        }
        let life = match self.expires_in_ms {
            Some(ms @ 1..=MAX_LIFE_MS) => Some(SignedDuration::from_millis(ms)),
            Some(_) => {
                return Err(wrong(
                    "expiresInMs is 1 to a hundred years, or left out for a token that does not end",
                ));
            }
            None => None,
        };
        // What is left out is as the caller has it.
        let expires_at = life.map(|life| Timestamp::now() + life).or(caller.expires_at);
        if caller
            .expires_at
            .is_some_and(|end| expires_at.is_none_or(|wanted| wanted > end))
        {
            return Err(refuse(
                "a token does not outlive the one that gives it; ask for a smaller expiresInMs",
            ));
        }
        let own = caller.limits;
        let requests = own.requests_per_second.map(|most| i64::from(most.get()));
        let bytes = own.body_bytes.and_then(|most| i64::try_from(most).ok());
        Ok(NewToken {
            tenant_id,
            name: self.name,
            role: self.role,
            scopes,
            bound: self.bound,
            expires_at,
            requests_per_second: within("requestsPerSecond", self.requests_per_second, requests)?,
            max_streams: within("maxStreams", self.max_streams, own.streams.map(i64::from))?,
            max_body_bytes: within("maxBodyBytes", self.max_body_bytes, bytes)?,
            created_by: caller.id.to_string(),
        })
    }
}

/// A limit of a new token: at most that of the caller, and that where it is left out.
fn within(name: &str, wanted: Option<i32>, own: Option<i64>) -> Result<Option<i32>, Problem> {
    match wanted {
        Some(..1) => Err(Problem::new(
            Kind::InvalidRequest,
            format!("{name} is 1 or more, or left out"),
        )),
        Some(wanted) if own.is_some_and(|own| i64::from(wanted) > own) => {
            let detail = format!("nobody gives what they do not have: {name} goes beyond the caller's own");
            Err(Problem::new(Kind::Forbidden, detail))
        }
        Some(wanted) => Ok(Some(wanted)),
        None => Ok(own.and_then(|own| i32::try_from(own).ok())),
    }
}

//! The gate: from the credential of a request to its principal.
//!
//! Invariants: a credential that is presented must be good, also where none is needed; without any only this machine is let
//! in, and only where no credential is configured; a token that this replica revokes is refused at once, and one that another
//! replica revokes within a second.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use brain_config::{ExposeSecret as _, SecretString, Server};
use brain_connectivity::postgres::Postgres;
use brain_swarm::ids::{ActorId, TenantId};
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

mod session;

pub(crate) use self::session::Begun;
use self::session::KnownSession;
use super::{
    Principal, Role, Scopes, Token, TokenId,
    oidc::Issuers,
    principal::Limits,
    sessions::SessionDigest,
    tokens::{self, State, StoredToken},
};
use crate::problem::{Kind, Problem};

/// The header of the original.
const ADMIN_HEADER: HeaderName = HeaderName::from_static("x-studio-brain-admin-token");
/// How long what the database said of a token is believed.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Tokens that are remembered at the same time, about.
const MAX_KNOWN: usize = 10_000;
/// Tokens that are looked up at the same time: guesses must not take all connections.
const LOOKUPS: usize = 4;
/// How long a look-up waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// The note of its use is renewed when it is older than this.
const NOTE_USE_AFTER: Duration = Duration::from_secs(60);

/// Lets callers in.
pub(crate) struct Gate {
    admin: Option<(SecretString, Arc<Principal>)>,
    /// Who calls without a credential, where that is allowed.
    local: Option<Arc<Principal>>,
    issuers: Option<Issuers>,
    /// What holders of tokens may use, where their token does not say.
    limits: Limits,
    postgres: Postgres,
    known: Mutex<Known>,
    /// For tokens that nobody has seen yet, which may be guesses.
    lookups: Semaphore,
    /// For tokens that were good a moment ago: guesses must not keep their holders waiting.
    renewals: Semaphore,
}

#[derive(Default)]
struct Known {
    tokens: HashMap<TokenId, KnownToken>,
    sessions: HashMap<SessionDigest, KnownSession>,
    /// How often something was forgotten: what was asked before must not be remembered after it.
    forgotten: u64,
}

/// What the database said of a token.
struct KnownToken {
    digest: Vec<u8>,
    standing: Standing,
    at: Instant,
}

#[derive(Clone)]
enum Standing {
    In(Arc<Principal>),
    Out(&'static str),
}

/// A credential as it was presented.
#[derive(Debug)]
pub(crate) enum Credential {
    /// The headers that hold it.
    Headers(HeaderMap),
    /// A session of the dashboard.
    Session(SessionDigest),
}

impl Credential {
    /// That of a request, apart from the rest of it.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let held = [ADMIN_HEADER, header::AUTHORIZATION].into_iter();
        let held = held.filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
        Self::Headers(held.collect())
    }
}

/// What a caller presents.
enum Presented<'a> {
    Admin(&'a [u8]),
    Bearer(&'a [u8]),
}

impl Gate {
    pub(crate) fn new(config: &Server, postgres: Postgres) -> Self {
        let administrator = |id: &str| {
            Arc::new(Principal {
                id: id.into(),
                actor_id: actor("api"),
                bound: false,
                tenant_id: TenantId::single(),
                role: Role::Admin,
                scopes: Scopes::default(),
                installation: true,
                expires_at: None,
                limits: Limits::default(),
            })
        };
        let admin = config.admin_token.clone();
        let limits = Limits {
            requests_per_second: NonZeroU32::new(config.token_requests_per_second),
            streams: Some(config.token_streams).filter(|most| *most > 0),
            body_bytes: None,
        };
        Self {
            admin: admin.map(|token| (token, administrator("admin"))),
            local: (!config.needs_credentials()).then(|| administrator("local")),
            issuers: Issuers::new(&config.oidc, limits),
            limits,
            postgres,
            known: Mutex::default(),
            lookups: Semaphore::new(LOOKUPS),
            renewals: Semaphore::new(LOOKUPS),
        }
    }

    /// Who sends these headers.
    ///
    /// # Errors
    /// A problem that says what is wrong with the credential, or that there is none.
    pub(crate) async fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Problem> {
        match Presented::of(headers)? {
            None => self.local.clone().ok_or_else(|| {
                refused(
                    "this needs a token: as Authorization: Bearer, or the one of STUDIO_BRAIN_ADMIN_TOKEN as \
                     x-studio-brain-admin-token",
                )
            }),
            Some(Presented::Admin(given)) => match &self.admin {
                Some((token, principal)) if same(token, given) => Ok(Arc::clone(principal)),
                Some(_) => Err(refused("the token is not the one of STUDIO_BRAIN_ADMIN_TOKEN")),
                None => Err(refused(
                    "STUDIO_BRAIN_ADMIN_TOKEN is not set: there is no administrator's token",
                )),
            },
            Some(Presented::Bearer(given)) => {
                if let Some((token, principal)) = &self.admin
                    && same(token, given)
                {
                    return Ok(Arc::clone(principal));
                }
                let text = std::str::from_utf8(given).map_err(|_| unknown())?;
                match (Token::parse(text), &self.issuers) {
                    (Some(token), _) => self.holder(&token).await,
                    // Header, claims and signature.
                    (None, Some(issuers)) if text.split('.').count() == 3 => issuers.authenticate(text).await,
                    (None, _) => Err(unknown()),
                }
            }
        }
    }

    /// Whether somebody who was let in would be let in again. While that cannot be found out nobody is sent away.
    pub(crate) async fn still_lets_in(&self, credential: &Credential) -> bool {
        let asked = match credential {
            Credential::Headers(headers) => self.authenticate(headers).await,
            Credential::Session(session) => self.session(*session).await,
        };
        match asked {
            Ok(_) => true,
            Err(problem) => problem.kind() != Kind::Unauthorized,
        }
    }

    /// Forgets what is known of a token, because it changed.
    pub(crate) fn forget(&self, token: TokenId) {
        let mut known = self.known();
        known.tokens.remove(&token);
        known.sessions.retain(|_, session| !session.is_of(token));
        known.forgotten += 1;
    }

    async fn holder(&self, token: &Token) -> Result<Arc<Principal>, Problem> {
        let standing = match self.remembered(token) {
            Some(standing) => standing?,
            None => self.look_up(token).await?,
        };
        match standing {
            Standing::In(principal) if principal.expires_at.is_none_or(|end| Timestamp::now() < end) => Ok(principal),
            Standing::In(_) => Err(refused("the token has expired")),
            Standing::Out(why) => Err(refused(why)),
        }
    }

    /// What is known of a token, if it is fresh.
    fn remembered(&self, token: &Token) -> Option<Result<Standing, Problem>> {
        let known = self.known();
        let known = known
            .tokens
            .get(&token.id())
            .filter(|known| known.at.elapsed() < MAX_AGE)?;
        // What is known of a token is told to its holder alone.
        Some(if token.is(&known.digest) {
            Ok(known.standing.clone())
        } else {
            Err(unknown())
        })
    }

    async fn look_up(&self, token: &Token) -> Result<Standing, Problem> {
        let queue = if self.was_good(token) {
            &self.renewals
        } else {
            &self.lookups
        };
        let turn = tokio::time::timeout(PATIENCE, queue.acquire()).await;
        let _turn = turn.map_err(|_| Problem::new(Kind::Overloaded, "too many tokens are looked up at the moment"))?;
        // Somebody else may have asked while this one waited.
        if let Some(standing) = self.remembered(token) {
            return standing;
        }
        // Its age begins before the question: the answer may be as old as that.
        let (asked, forgotten) = (Instant::now(), self.known().forgotten);
        let Some((stored, digest)) = tokens::find(&self.postgres, token.id()).await? else {
            return Err(unknown());
        };
        if !token.is(&digest) {
            return Err(unknown());
        }
        let standing = match stored.state {
            State::Revoked => Standing::Out("the token was revoked"),
            State::Expired => Standing::Out("the token has expired"),
            State::Active => Standing::In(Arc::new(self.principal(&stored))),
        };
        let fresh = KnownToken {
            digest,
            standing: standing.clone(),
            at: asked,
        };
        self.remember(token.id(), fresh, forgotten);
        self.note_use(&stored);
        Ok(standing)
    }

    fn principal(&self, stored: &StoredToken) -> Principal {
        let number = |limit: Option<i32>| limit.and_then(|limit| u32::try_from(limit).ok());
        Principal {
            id: format!("token:{}", stored.token_id).into(),
            actor_id: stored.name.clone(),
            bound: stored.bound,
            tenant_id: stored.tenant_id.clone(),
            role: stored.role,
            scopes: stored.scopes.clone(),
            installation: false,
            expires_at: stored.expires_at,
            limits: Limits {
                requests_per_second: number(stored.requests_per_second)
                    .and_then(NonZeroU32::new)
                    .or(self.limits.requests_per_second),
                streams: number(stored.max_streams).or(self.limits.streams),
                body_bytes: stored.max_body_bytes.and_then(|most| usize::try_from(most).ok()),
            },
        }
    }

    /// Whether this very token was found good before, however long ago.
    fn was_good(&self, token: &Token) -> bool {
        let known = self.known();
        let known = known.tokens.get(&token.id());
        known.is_some_and(|known| matches!(known.standing, Standing::In(_)) && token.is(&known.digest))
    }

    fn remember(&self, token: TokenId, fresh: KnownToken, forgotten: u64) {
        let mut known = self.known();
        if known.forgotten != forgotten {
            return;
        }
        if known.tokens.len() >= MAX_KNOWN {
            known.tokens.retain(|_, known| known.at.elapsed() < MAX_AGE);
        }
        if known.tokens.len() < MAX_KNOWN {
            known.tokens.insert(token, fresh);
        }
    }

    /// Beside the request, and not at all where the last note is young.
    fn note_use(&self, stored: &StoredToken) {
        let young = stored.last_used_at.is_some_and(|last| {
            let age = Duration::try_from(Timestamp::now().duration_since(last));
            age.is_ok_and(|age| age < NOTE_USE_AFTER)
        });
        if young || stored.state != State::Active {
            return;
        }
        let (postgres, id) = (self.postgres.clone(), stored.token_id);
        tokio::spawn(async move {
            if let Err(error) = tokens::touch(&postgres, id).await {
                tracing::warn!(token.id = %id, error = %error, "the use of a token could not be noted");
            }
        });
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

impl<'a> Presented<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Option<Self>, Problem> {
        if let Some(given) = only(headers, &ADMIN_HEADER)? {
            return Ok(Some(Self::Admin(given.as_bytes())));
        }
        let Some(given) = only(headers, &header::AUTHORIZATION)? else {
            return Ok(None);
        };
        let (scheme, token) = given.as_bytes().split_at(given.len().min(6));
        match token.split_first() {
            _ if !scheme.eq_ignore_ascii_case(b"Bearer") => Err(refused("Authorization must be Bearer and a token")),
            None => Ok(None),
            Some((b' ', token)) => Ok(Some(Self::Bearer(token.trim_ascii()))),
            Some(_) => Err(refused("Authorization must be Bearer and a token")),
        }
    }
}

/// A header that must not come twice: each server on the way could take another one. An empty one is one that a script had
/// nothing for.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut given = headers.get_all(name).iter();
    match (given.next(), given.next()) {
        (_, Some(_)) => Err(refused("there is more than one credential")),
        (only, None) => Ok(only.filter(|value| !value.as_bytes().trim_ascii().is_empty())),
    }
}

/// Takes the same time wherever the first difference is.
fn same(token: &SecretString, given: &[u8]) -> bool {
    token.expose_secret().as_bytes().ct_eq(given).into()
}

fn actor(name: &'static str) -> ActorId {
    ActorId::new(name).unwrap_or_else(|_| unreachable!("a constant is an identifier"))
}

fn refused(detail: &'static str) -> Problem {
    Problem::new(Kind::Unauthorized, detail)
}

fn unknown() -> Problem {
    refused("the token is not known here")
}

impl From<tokens::Error> for Problem {
    fn from(error: tokens::Error) -> Self {
        match error {
            tokens::Error::Database(error) => Self::from(&error),
            tokens::Error::Audit(error) => error.into(),
            error @ (tokens::Error::Unreadable(_) | tokens::Error::Randomness(_)) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// A database that is not asked by what is tested here.
    fn gate(admin: Option<&str>, required: bool) -> Gate {
        let mut config = brain_config::Config::defaults();
        config.server.admin_token = admin.map(Into::into);
        config.server.auth_required = required;
        Gate::new(&config.server, Postgres::open(&config.postgres).unwrap())
    }

    async fn asks(gate: &Gate, headers: &[(&'static str, &'static str)]) -> Result<Arc<str>, String> {
        let mut given = HeaderMap::new();
        for (name, value) in headers {
            given.append(*name, value.parse().unwrap());
        }
        let principal = gate.authenticate(&given).await;
        principal
            .map(|who| Arc::clone(&who.id))
            .map_err(|problem| problem.detail().to_owned())
    }

    #[tokio::test]
    async fn the_admins_token_comes_in_either_header() {
        let gate = gate(Some("right-token"), false);
        for good in [
            ("x-studio-brain-admin-token", "right-token"),
            ("authorization", "Bearer right-token"),
            ("authorization", "bearer  right-token"),
        ] {
            assert_eq!(&*asks(&gate, &[good]).await.unwrap(), "admin", "{good:?}");
        }
        let wrong: [&[(&str, &str)]; 11] = [
            &[],
            &[("x-studio-brain-admin-token", "")],
            &[("x-studio-brain-admin-token", "right-toke")],
            &[("x-studio-brain-admin-token", "right-token2")],
            &[("x-studio-brain-admin-token", "Right-token")],
            &[("authorization", "right-token")],
            &[("authorization", "Basic right-token")],
            &[("authorization", "Bearer")],
            &[
                ("authorization", "Bearer right-token"),
                ("authorization", "Bearer right-token"),
            ],
            &[
                ("x-studio-brain-admin-token", "wrong"),
                ("authorization", "Bearer right-token"),
            ],
            &[
                ("x-studio-brain-admin-token", "right-token"),
                ("x-studio-brain-admin-token", "right-token"),
            ],
        ];
        for wrong in wrong {
            assert!(asks(&gate, wrong).await.is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn without_a_credential_only_an_open_server_lets_in() {
        assert_eq!(&*asks(&gate(None, false), &[]).await.unwrap(), "local");
        assert!(
            asks(&gate(None, true), &[])
                .await
                .unwrap_err()
                .contains("Authorization: Bearer")
        );
        assert!(asks(&gate(Some("right-token"), false), &[]).await.is_err());
        for nothing in [
            ("authorization", "Bearer"),
            ("authorization", ""),
            ("x-studio-brain-admin-token", ""),
        ] {
            assert_eq!(&*asks(&gate(None, false), &[nothing]).await.unwrap(), "local");
        }
        let wrong = asks(&gate(None, false), &[("authorization", "Bearer x")]).await;
        assert_eq!(
            wrong.unwrap_err(),
            "the token is not known here",
            "what is presented must be good"
        );
    }
}

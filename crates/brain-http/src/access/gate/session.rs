//! Sessions at the gate: a cookie stands for the token that somebody logged in with.
//!
//! Invariants: a session lets in whom its token lets in, and no longer; what is known of a session is forgotten with what is
//! known of its token, and after a second at the latest; a JSON Web Token begins no session, because nobody can end it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use brain_config::ExposeSecret as _;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Gate, MAX_AGE, MAX_KNOWN, PATIENCE, Standing, refused, same, unknown};
use crate::{
    access::{
        Principal, Token, TokenId,
        sessions::{self, SessionDigest, SessionSecret, StandsFor},
        tokens::State,
    },
    problem::{Kind, Problem},
};

/// How long a session lives at most.
const MAX_SESSION: SignedDuration = SignedDuration::from_hours(12);

/// What the database said of a session.
pub(super) struct KnownSession {
    standing: Standing,
    /// The token that it stands for.
    token: Option<TokenId>,
    ends_at: Timestamp,
    at: Instant,
}

impl KnownSession {
    pub(super) fn is_of(&self, token: TokenId) -> bool {
        self.token == Some(token)
    }
}

/// A session that has just begun.
pub(crate) struct Begun {
    pub(crate) secret: SessionSecret,
    pub(crate) principal: Arc<Principal>,
    /// How long it lives.
    pub(crate) lives: Duration,
}

impl Gate {
    /// Who calls without a credential, where that is allowed.
    pub(crate) fn without_credential(&self) -> Option<Arc<Principal>> {
        self.local.clone()
    }

    /// Begins a session with a token.
    ///
    /// # Errors
    /// A problem that says what is wrong with the token.
    pub(crate) async fn begin_session(&self, token: &str) -> Result<Begun, Problem> {
        let (principal, of) = match &self.admin {
            Some((admin, principal)) if same(admin, token.as_bytes()) => {
                (Arc::clone(principal), Err(digest_of(admin.expose_secret())))
            }
            _ => {
                let token = Token::parse(token).ok_or_else(unknown)?;
                (self.holder(&token).await?, Ok(token.id()))
            }
        };
        let now = Timestamp::now();
        let longest = now + MAX_SESSION;
        let ends_at = principal.expires_at.map_or(longest, |end| end.min(longest));
        let secret = SessionSecret::generate()?;
        sessions::insert(&self.postgres, secret.digest(), &principal.tenant_id, of, ends_at).await?;
        Ok(Begun {
            secret,
            principal,
            lives: Duration::try_from(ends_at.duration_since(now)).unwrap_or_default(),
        })
    }

    /// Who has this session.
    ///
    /// # Errors
    /// A problem that says why it lets nobody in.
    pub(crate) async fn session(&self, session: SessionDigest) -> Result<Arc<Principal>, Problem> {
        let (standing, ends_at) = match self.remembered_session(session) {
            Some(known) => known,
            None => self.look_up_session(session).await?,
        };
        let now = Timestamp::now();
        match standing {
            Standing::In(_) if ends_at <= now => Err(refused("the session is over")),
            Standing::In(principal) if principal.expires_at.is_some_and(|end| end <= now) => {
                Err(refused("the token of the session has expired"))
            }
            Standing::In(principal) => Ok(principal),
            Standing::Out(why) => Err(refused(why)),
        }
    }

    /// Ends a session. Replicas that know it forget it within a second.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn end_session(&self, session: SessionDigest) -> Result<(), Problem> {
        sessions::delete(&self.postgres, session).await?;
        let mut known = self.known();
        known.sessions.remove(&session);
        known.forgotten += 1;
        Ok(())
    }

    fn remembered_session(&self, session: SessionDigest) -> Option<(Standing, Timestamp)> {
        let known = self.known();
        let known = known.sessions.get(&session)?;
        (known.at.elapsed() < MAX_AGE).then(|| (known.standing.clone(), known.ends_at))
    }

    async fn look_up_session(&self, session: SessionDigest) -> Result<(Standing, Timestamp), Problem> {
        let was_good = {
            let known = self.known();
            let known = known.sessions.get(&session);
            known.is_some_and(|known| matches!(known.standing, Standing::In(_)))
        };
        // Guesses must not keep the holders of sessions waiting.
        let queue = if was_good { &self.renewals } else { &self.lookups };
        let turn = tokio::time::timeout(PATIENCE, queue.acquire()).await;
        let _turn = turn.map_err(|_| Problem::new(Kind::Overloaded, "too many tokens are looked up at the moment"))?;
        if let Some(known) = self.remembered_session(session) {
            return Ok(known);
        }
        let (asked, forgotten) = (Instant::now(), self.known().forgotten);
        let Some(stored) = sessions::find(&self.postgres, session).await? else {
            self.known().sessions.remove(&session);
            return Err(refused("there is no such session, or it is over"));
        };
        let mut token = None;
        let standing = match &stored.stands_for {
            StandsFor::Token(stored) => {
                token = Some(stored.token_id);
                match stored.state {
                    State::Revoked => Standing::Out("the token of the session was revoked"),
                    State::Expired => Standing::Out("the token of the session has expired"),
                    State::Active => {
                        self.note_use(stored);
                        Standing::In(Arc::new(self.principal(stored)))
                    }
                }
            }
            StandsFor::Administrator(digest) => match &self.admin {
                Some((admin, principal)) if bool::from(digest_of(admin.expose_secret()).ct_eq(digest)) => {
                    Standing::In(Arc::clone(principal))
                }
                _ => Standing::Out("the administrator's token is another one now"),
            },
            StandsFor::Nothing => Standing::Out("the token of the session is gone"),
        };
        self.remember_session(session, forgotten, || KnownSession {
            standing: standing.clone(),
            token,
            ends_at: stored.expires_at,
            at: asked,
        });
        Ok((standing, stored.expires_at))
    }

    fn remember_session(&self, session: SessionDigest, forgotten: u64, fresh: impl FnOnce() -> KnownSession) {
        let mut known = self.known();
        if known.forgotten != forgotten {
            return;
        }
        if known.sessions.len() >= MAX_KNOWN {
            known.sessions.retain(|_, known| known.at.elapsed() < MAX_AGE);
        }
        if known.sessions.len() < MAX_KNOWN {
            known.sessions.insert(session, fresh());
        }
    }
}

fn digest_of(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

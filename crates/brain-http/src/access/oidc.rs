//! JSON Web Tokens of configured issuers (OpenID Connect): signature, claims, and what they mean here.
//!
//! Invariants: only asymmetric algorithms are accepted, and only with a key that the issuer itself publishes; a token that was
//! accepted is accepted again without a look at the keys for [`BELIEVED`] at most, and never beyond its end.

mod claims;
mod fetch;
mod keys;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use brain_config::Oidc;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use self::{claims::Rules, keys::Keys};
use super::{Principal, principal::Limits};
use crate::problem::{Kind, Problem};

/// The longest token, in bytes.
const MAX_BYTES: usize = 8 * 1024;
/// How long a token that was found good is not checked again.
const BELIEVED: Duration = Duration::from_secs(60);
/// Tokens that are remembered at the same time, about.
const MAX_REMEMBERED: usize = 10_000;

/// All issuers of a server.
pub(super) struct Issuers {
    keys: Vec<Keys>,
    rules: Rules,
    limits: Limits,
    good: Mutex<HashMap<[u8; 32], Good>>,
}

/// A token that was found good.
struct Good {
    principal: Arc<Principal>,
    ends: i64,
    at: Instant,
}

impl Issuers {
    /// None, where none is configured.
    pub(super) fn new(config: &Oidc, limits: Limits) -> Option<Self> {
        let audience = config.audience.clone()?;
        let issuers = config.issuers.iter();
        let keys: Vec<Keys> = issuers.map(|issuer| Keys::new(issuer, config.keys_refresh)).collect();
        (!keys.is_empty()).then(|| Self {
            keys,
            rules: Rules::new(config, audience),
            limits,
            good: Mutex::default(),
        })
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// A problem that says what is wrong with it.
    pub(super) async fn authenticate(&self, token: &str) -> Result<Arc<Principal>, Problem> {
        if token.len() > MAX_BYTES {
            return Err(refused("the token is longer than 8192 bytes"));
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        let now = Timestamp::now().as_second();
        if let Some(good) = self.good().get(&digest)
            && good.at.elapsed() < BELIEVED
            && now < good.ends
        {
            return Ok(Arc::clone(&good.principal));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused("the token is not a JSON Web Token"))?;
        // What a token calls critical must be understood, and none of it is.
        if header.crit.is_some() || header.enc.is_some() {
            return Err(refused("the token asks for extensions that are not known here"));
        }
        // Not believed yet: it only says whose keys to look at.
        let claimed: Map<String, Value> = jsonwebtoken::dangerous::insecure_decode_claims(token)
            .map_err(|_| refused("the claims of the token are not a JSON object"))?;
        let issuer = claimed.get("iss").and_then(Value::as_str).unwrap_or_default();
        let keys = self.keys.iter().find(|keys| keys.issuer() == issuer);
        let keys =
            keys.ok_or_else(|| refused("the token is of an issuer that is not among STUDIO_BRAIN_OIDC_ISSUERS"))?;
        let key = keys.find(header.kid.as_deref(), header.alg).await?;
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &signature_alone(header.alg))
            .map_err(|_| refused("the signature of the token is wrong"))?
            .claims;
        let identity = self.rules.read(&claims, issuer, now)?;
        let (principal, ends) = (Arc::new(identity.principal(self.limits)), identity.ends);
        self.remember(digest, Arc::clone(&principal), ends);
        Ok(principal)
    }

    fn remember(&self, digest: [u8; 32], principal: Arc<Principal>, ends: i64) {
        let mut good = self.good();
        if good.len() >= MAX_REMEMBERED {
            good.retain(|_, good| good.at.elapsed() < BELIEVED);
        }
        if good.len() < MAX_REMEMBERED {
            let at = Instant::now();
            good.insert(digest, Good { principal, ends, at });
        }
    }

    fn good(&self) -> MutexGuard<'_, HashMap<[u8; 32], Good>> {
        self.good.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// The library checks the signature; the claims are checked by [`Rules`], which is strict about their types too.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn refused(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(Kind::Unauthorized, detail)
}

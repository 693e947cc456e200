//! The keys of one issuer, kept for a while.
//!
//! Invariants: nothing is fetched while nobody presents a token; at most one fetch is under way, and after one that failed or
//! did not bring the key that was asked for the next waits [`PAUSE`], whatever callers present; keys that an issuer does not
//! publish any more are forgotten with the next fetch, and keys that could not be fetched again for [`LAST_RESORT`] are used
//! no more.

use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use tokio::sync::Mutex;

use super::{fetch, refused};
use crate::problem::{Kind, Problem};

/// Between two fetches that are made because a key is missing.
const PAUSE: Duration = Duration::from_secs(5);
/// How long keys are used that cannot be fetched again.
const LAST_RESORT: Duration = Duration::from_secs(24 * 3600);
/// The most keys of one issuer; the rest is left out.
const MAX_KEYS: usize = 64;

/// The keys of one issuer; clones share them.
#[derive(Clone)]
pub(super) struct Keys(Arc<Inner>);

struct Inner {
    issuer: String,
    refresh: Duration,
    known: RwLock<Known>,
    fetching: Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    /// Whether the last fetch failed: said once, not with every request.
    failing: bool,
}

/// A key that may sign.
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl Keys {
    pub(super) fn new(issuer: &str, refresh: Duration) -> Self {
        Self(Arc::new(Inner {
            issuer: issuer.to_owned(),
            refresh,
            known: RwLock::default(),
            fetching: Mutex::default(),
        }))
    }

    pub(super) fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The key that a token names, if it may sign by that algorithm.
    ///
    /// # Errors
    /// A problem when the issuer publishes no such key, or does not answer.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, Problem> {
        if algorithm.family() == AlgorithmFamily::Hmac {
            return Err(refused(
                "the token is signed by an algorithm with a shared secret, which no issuer may use here",
            ));
        }
        let (keys, age, _) = self.known();
        match age {
            Some(age) if age < self.0.refresh => {}
            // Old keys still serve the request that finds them old.
            Some(age) if age < LAST_RESORT => {
                // One fetch is enough, however many requests come meanwhile.
                if self.0.fetching.try_lock().is_ok() {
                    let keys = self.clone();
                    tokio::spawn(async move { keys.fetch(keys.0.refresh).await });
                }
            }
            _ => return self.after_fetching(id, algorithm).await,
        }
        match choose(&keys, id, algorithm) {
            Some(key) => Ok(key),
            // A key that is new since.
            None => self.after_fetching(id, algorithm).await,
        }
    }

    async fn after_fetching(&self, id: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, Problem> {
        self.fetch(PAUSE).await;
        let (keys, age, failing) = self.known();
        if failing && age.is_none_or(|age| age >= LAST_RESORT) {
            let detail = "the keys of the token's issuer cannot be fetched at the moment; try again";
            return Err(Problem::new(Kind::Unavailable, detail));
        }
        choose(&keys, id, algorithm)
            .ok_or_else(|| refused("the token is signed with a key that its issuer does not publish"))
    }

    fn known(&self) -> (Arc<Vec<Key>>, Option<Duration>, bool) {
        let known = self.0.known.read().unwrap_or_else(|broken| broken.into_inner());
        (
            Arc::clone(&known.keys),
            known.fetched.map(|at| at.elapsed()),
            known.failing,
        )
    }

    /// Fetches the keys, unless somebody tried within that time.
    async fn fetch(&self, pause: Duration) {
        let _alone = self.0.fetching.lock().await;
        {
            let known = self.0.known.read().unwrap_or_else(|broken| broken.into_inner());
            // After a failure the next one need not wait as long as after a success.
            let pause = if known.failing { pause.min(PAUSE) } else { pause };
            if known.tried.is_some_and(|tried| tried.elapsed() < pause) {
                return;
            }
        }
        let fetched = fetch::keys(&self.0.issuer).await;
        let mut known = self.0.known.write().unwrap_or_else(|broken| broken.into_inner());
        let now = Instant::now();
        known.tried = Some(now);
        match fetched {
            Ok(set) => {
                known.keys = Arc::new(usable(&set));
                known.fetched = Some(now);
                known.failing = false;
                tracing::info!(
                    issuer = self.0.issuer,
                    keys = known.keys.len(),
                    "keys of an issuer fetched"
                );
            }
            Err(error) => {
                if !std::mem::replace(&mut known.failing, true) {
                    tracing::warn!(issuer = self.0.issuer, error = %error, "keys of an issuer cannot be fetched");
                }
            }
        }
    }
}

/// The key of that id; without an id the only one that fits.
fn choose(keys: &[Key], id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let mut fitting = keys.iter().filter(|key| key.algorithms.contains(&algorithm));
    match id {
        Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
    .map(|key| key.key.clone())
}

/// Those that may sign tokens, by algorithms with a public key.
fn usable(set: &JwkSet) -> Vec<Key> {
    let signs = |jwk: &&Jwk| !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
    let keys = set.keys.iter().filter(signs).take(MAX_KEYS);
    keys.filter_map(|jwk| {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let able: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => &[ES256],
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P384 => &[ES384],
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => &[EdDSA],
            _ => return None,
        };
        let algorithms = match jwk.common.key_algorithm {
            None => able.to_vec(),
            Some(only) => able.iter().copied().filter(|one| named(*one) == Some(only)).collect(),
        };
        Some(Key {
            id: jwk.common.key_id.clone(),
            algorithms,
            key: DecodingKey::from_jwk(jwk).ok()?,
        })
    })
    .collect()
}

fn named(algorithm: Algorithm) -> Option<KeyAlgorithm> {
    Some(match algorithm {
        Algorithm::RS256 => KeyAlgorithm::RS256,
        Algorithm::RS384 => KeyAlgorithm::RS384,
        Algorithm::RS512 => KeyAlgorithm::RS512,
        Algorithm::PS256 => KeyAlgorithm::PS256,
        Algorithm::PS384 => KeyAlgorithm::PS384,
        Algorithm::PS512 => KeyAlgorithm::PS512,
        Algorithm::ES256 => KeyAlgorithm::ES256,
        Algorithm::ES384 => KeyAlgorithm::ES384,
        Algorithm::EdDSA => KeyAlgorithm::EdDSA,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// A key that was made for this test; nobody has its private half any more.
    const N: &str = "2XQnm8GamHeYk6uX0i8OG94580zS0ea-BOtBNv_eJbNnZUBV5-BgAi55rtLoj5mn2xk3JpmvBtlvHwQCnofS0fzS3oPSrnVQ7IUTrHKqjaAOmquKh26FXgEDFUi8H8kMQ-jHon6O9DqwxFfvejyRPKKPy-sAPnWlQ5mbmrkDif6JJ1EnAopFr6m58mdZ1UY-AJTBEJhmwog6d9qSu6IB3RTGHovmpbYatR-wYbt1BwctNI7NpNHdEO_ZjIZu1MUIEvRV01lzfAJXXRIHLNmbtkrkEWnTXoYm5PIiuUBdqFkbJ8tzgABRUKHahhTXakcWw4jePQBSR3jLDXDviQ7IAQ";
    /// `{"sub": "ada"}`, signed with it.
    const SIGNED: [&str; 3] = [
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0xIn0",
        "eyJzdWIiOiJhZGEifQ",
        "oCOjD7sq4mSHQHeUt4NHpKETHx9ulSiWGq422cQxWK5As7VKE2Em8UFPswqoNTmYIFPdW68CWD5g2Wrqqk8UgOvgxAbqebqeGBoqyryBjSuk4E2Db1uz4Jh505DDnqVbaqlS-kkRu59YRRngr3oS1ZIpzBXMhhz9W4sOBlN-nqPSJM5YrDJH3gUPE50eFKYGQWUGcvXZasDRZ3ycuPDZJE0K7IdcD28N6cTfdhQgfelR10f66ovTCegFAKsAzb2Goav2ogadZr0zIlDQbHooYniM9JHkl4b2eFVvx790d4jy2fegQTzaRCAen2195eBT5eawCMrC7EhQbuGd5t1qMg",
    ];

    fn set(keys: &str) -> Vec<Key> {
        usable(&serde_json::from_str(&format!("{{\"keys\":[{keys}]}}")).unwrap())
    }

    fn rsa(more: &str) -> String {
        format!("{{\"kty\":\"RSA\",\"n\":\"{N}\",\"e\":\"AQAB\"{more}}}")
    }

    fn verifies(key: &DecodingKey, token: &str) -> bool {
        let validation = super::super::signature_alone(Algorithm::RS256);
        jsonwebtoken::decode::<serde_json::Value>(token, key, &validation).is_ok()
    }

    #[test]
    fn a_signature_of_rsa_is_checked() {
        let keys = set(&rsa(",\"kid\":\"rsa-1\",\"use\":\"sig\""));
        let key = choose(&keys, Some("rsa-1"), Algorithm::RS256).unwrap();
        assert!(verifies(&key, &SIGNED.join(".")));
        let [header, _, signature] = SIGNED;
        // {"sub": "eve"}
        assert!(!verifies(&key, &format!("{header}.eyJzdWIiOiJldmUifQ.{signature}")));
        assert!(!verifies(&key, &format!("{header}.{}.", SIGNED[1])));
    }

    #[test]
    fn only_keys_that_sign_are_used_and_only_as_they_may() {
        let keys = set(&[
            rsa(",\"kid\":\"a\",\"use\":\"enc\""),
            rsa(",\"kid\":\"b\",\"alg\":\"RS384\""),
            rsa(",\"kid\":\"c\",\"alg\":\"RSA-OAEP\""),
            "{\"kty\":\"oct\",\"kid\":\"d\",\"k\":\"c2VjcmV0\"}".to_owned(),
            rsa(",\"kid\":\"e\""),
        ]
        .join(","));
        let found = |id: &str, algorithm| choose(&keys, Some(id), algorithm).is_some();
        assert!(!found("a", Algorithm::RS256), "it encrypts");
        assert!(found("b", Algorithm::RS384) && !found("b", Algorithm::RS256));
        assert!(!found("c", Algorithm::RS256));
        assert!(!found("d", Algorithm::HS256), "a shared secret");
        assert!(found("e", Algorithm::PS512) && !found("e", Algorithm::ES256));
        assert!(!found("f", Algorithm::RS256));
        assert!(
            choose(&keys, None, Algorithm::RS256).is_some(),
            "the only one that fits"
        );
        assert!(choose(&keys, None, Algorithm::RS384).is_none(), "two fit");
    }
}

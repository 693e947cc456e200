//! What the claims of a token mean: pure rules over plain data.

use std::collections::HashMap;

use brain_config::Oidc;
use brain_swarm::ids::{ActorId, TenantId};
use serde_json::{Map, Value};

use super::refused;
use crate::{
    access::{Principal, Role, Scope, Scopes, principal::Limits},
    problem::{Kind, Problem},
};

/// The rules of the configuration.
#[derive(Debug)]
pub(super) struct Rules {
    audience: String,
    role_claim: String,
    /// Names of roles, where there is none.
    roles: HashMap<String, Role>,
    tenant_claim: String,
    tenant: Option<String>,
    scope_claim: Option<String>,
    skew_seconds: i64,
}

/// Who the claims say that it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    id: String,
    subject: ActorId,
    tenant: TenantId,
    role: Role,
    scopes: Scopes,
    /// In seconds since 1970: when the token is good no more.
    pub(super) ends: i64,
}

impl Identity {
    pub(super) fn principal(&self, limits: Limits) -> Principal {
        Principal {
            id: self.id.as_str().into(),
            actor_id: self.subject.clone(),
            bound: false,
            tenant_id: self.tenant.clone(),
            role: self.role,
            scopes: self.scopes.clone(),
            installation: false,
            // A session of minutes may give tokens for longer, as it may everywhere else.
            expires_at: None,
            limits,
        }
    }
}

impl Rules {
    pub(super) fn new(config: &Oidc, audience: String) -> Self {
        let pairs = config.role_map.iter().filter_map(|pair| pair.rsplit_once('='));
        Self {
            audience,
            role_claim: config.role_claim.clone(),
            roles: pairs
                .filter_map(|(value, role)| Some((value.to_owned(), role.parse().ok()?)))
                .collect(),
            tenant_claim: config.tenant_claim.clone(),
            tenant: config.tenant.clone(),
            scope_claim: config.scope_claim.clone(),
            skew_seconds: i64::try_from(config.clock_skew.as_secs()).unwrap_or(0),
        }
    }

    /// Judges the claims of a token whose signature is right. `now`: seconds since 1970.
    ///
    /// # Errors
    /// A problem that names the claim.
    pub(super) fn read(&self, claims: &Map<String, Value>, issuer: &str, now: i64) -> Result<Identity, Problem> {
        if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
            return Err(refused("iss is not the issuer whose keys sign the token"));
        }
        let ends = seconds(claims, "exp")?.ok_or_else(|| refused("the token has no exp"))?;
        let ends = ends.saturating_add(self.skew_seconds);
        if now >= ends {
            return Err(refused("the token has expired"));
        }
        for claim in ["nbf", "iat"] {
            if seconds(claims, claim)?.is_some_and(|from| from > now.saturating_add(self.skew_seconds)) {
                return Err(refused(format!("the token is not valid yet ({claim})")));
            }
        }
        let meant = match claims.get("aud") {
            Some(Value::String(audience)) => *audience == self.audience,
            Some(Value::Array(audiences)) => audiences.iter().any(|one| one.as_str() == Some(&self.audience)),
            _ => false,
        };
        if !meant {
            return Err(refused("the token is for another service (aud)"));
        }
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let subject = ActorId::new(subject).map_err(|_| refused("the token has no sub that can name an actor"))?;
        Ok(Identity {
            id: format!("oidc:{issuer}#{subject}"),
            tenant: self.tenant(claims)?,
            role: self.role(claims)?,
            scopes: self.scopes(claims)?,
            subject,
            ends,
        })
    }

    fn role(&self, claims: &Map<String, Value>) -> Result<Role, Problem> {
        let named = texts(at(claims, &self.role_claim));
        let roles = named.into_iter().filter_map(|name| match self.roles.is_empty() {
            true => name.parse().ok(),
            false => self.roles.get(name).copied(),
        });
        roles
            .max()
            .ok_or_else(|| forbidden(format!("the token gives no role here (claim {})", self.role_claim)))
    }

    fn tenant(&self, claims: &Map<String, Value>) -> Result<TenantId, Problem> {
        let none = || forbidden(format!("the token names no tenant (claim {})", self.tenant_claim));
        let named = match at(claims, &self.tenant_claim) {
            None | Some(Value::Null) => self.tenant.as_deref().ok_or_else(none)?,
            Some(Value::String(name)) => name,
            Some(_) => return Err(none()),
        };
        TenantId::new(named).map_err(|_| none())
    }

    /// The scopes that are ours: a token has others, such as `openid`, besides.
    fn scopes(&self, claims: &Map<String, Value>) -> Result<Scopes, Problem> {
        let Some(claim) = &self.scope_claim else {
            return Ok(Scopes::default());
        };
        let words = texts(at(claims, claim)).into_iter().flat_map(str::split_whitespace);
        let scopes: Vec<Scope> = words.filter_map(|word| word.parse().ok()).collect();
        // No scope at all would be everything.
        if scopes.is_empty() {
            return Err(forbidden(format!(
                "the token has no scope of this service (claim {claim})"
            )));
        }
        scopes
            .try_into()
            .map_err(|_| forbidden("the token has more than 64 scopes".to_owned()))
    }
}

fn forbidden(detail: String) -> Problem {
    Problem::new(Kind::Forbidden, detail)
}

/// A moment, if the claim is there; one of another type is no moment.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Problem> {
    let wrong = || refused(format!("{name} is not a number of seconds"));
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            let whole = number.as_i64().or_else(|| {
                // A fraction of a second does not matter; what no clock will ever show is refused.
                let float = number.as_f64().filter(|float| float.abs() < 1e15)?;
                Some(float as i64)
            });
            whole.map(Some).ok_or_else(wrong)
        }
        Some(_) => Err(wrong()),
    }
}

/// The claim of exactly this name, else what the dots of the name lead to.
fn at<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at(claims.get(first)?.as_object()?, rest)
}

/// One text or several.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://issuer.example";

    fn rules(change: fn(&mut Oidc)) -> Rules {
        let mut config = brain_config::Config::defaults().server.oidc;
        change(&mut config);
        Rules::new(&config, "brain".to_owned())
    }

    fn claims() -> Value {
        json!({"iss": ISSUER, "sub": "ada", "aud": "brain", "exp": NOW + 60, "iat": NOW, "nbf": NOW,
            "studio_brain_role": "operator", "studio_brain_tenant": "acme", "scope": "openid tasks:work *:read"})
    }

    fn read(rules: &Rules, claims: &Value) -> Result<Identity, String> {
        let read = rules.read(claims.as_object().unwrap(), ISSUER, NOW);
        read.map_err(|problem| format!("{} {}", problem.kind().status().as_u16(), problem.detail()))
    }

    #[test]
    fn good_claims_are_who_they_say() {
        let identity = read(&rules(|_| {}), &claims()).unwrap();
        let expected = (Role::Operator, "acme", "ada", true);
        let found = (
            identity.role,
            identity.tenant.as_str(),
            identity.subject.as_str(),
            identity.scopes.is_empty(),
        );
        assert_eq!(found, expected);
        assert_eq!(identity.id, "oidc:https://issuer.example#ada");
    }

    #[test]
    fn each_claim_that_is_wrong_is_named() {
        let cases = [
            ("iss", json!("https://other.example"), "401 iss"),
            ("exp", json!(NOW - 61), "401 the token has expired"),
            ("exp", json!("2099"), "401 exp is not a number"),
            ("exp", json!(1e300), "401 exp is not a number"),
            ("exp", Value::Null, "401 exp is not a number"),
            ("nbf", json!(NOW + 61), "401 the token is not valid yet (nbf)"),
            ("nbf", json!([NOW]), "401 nbf is not a number"),
            ("iat", json!(NOW + 61), "401 the token is not valid yet (iat)"),
            ("aud", json!("other"), "401 the token is for another service"),
            ("aud", json!(["other", 5]), "401 the token is for another service"),
            ("aud", json!({}), "401 the token is for another service"),
            ("sub", json!(""), "401 the token has no sub"),
            ("sub", json!(5), "401 the token has no sub"),
            ("studio_brain_role", json!("king"), "403 the token gives no role"),
            ("studio_brain_role", json!(4), "403 the token gives no role"),
            ("studio_brain_tenant", json!(""), "403 the token names no tenant"),
            ("studio_brain_tenant", json!(["acme"]), "403 the token names no tenant"),
        ];
        for (claim, value, expected) in cases {
            let mut claims = claims();
            claims[claim] = value.clone();
            let problem = read(&rules(|_| {}), &claims).unwrap_err();
            assert!(problem.starts_with(expected), "{claim}={value}: {problem}");
        }
        for claim in ["exp", "aud", "sub", "studio_brain_role", "studio_brain_tenant"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(claim);
            assert!(read(&rules(|_| {}), &claims).is_err(), "without {claim}");
        }
    }

    #[test]
    fn a_clock_may_be_off_a_little() {
        let mut late = claims();
        late["exp"] = json!(NOW - 59);
        late["nbf"] = json!(NOW + 59);
        assert!(read(&rules(|_| {}), &late).is_ok());
        assert!(read(&rules(|config| config.clock_skew = Default::default()), &late).is_err());
    }

    #[test]
    fn roles_tenants_and_scopes_are_found_where_the_configuration_says() {
        let rules = rules(|config| {
            config.role_claim = "realm_access.roles".to_owned();
            config.role_map = vec!["brain-devs=agent".to_owned(), "brain-ops=operator".to_owned()];
            config.tenant_claim = "https://claims.example/tenant".to_owned();
            config.tenant = Some("fallback".to_owned());
            config.scope_claim = Some("scope".to_owned());
        });
        let mut claims = claims();
        claims["aud"] = json!(["other", "brain"]);
        claims["realm_access"] = json!({"roles": ["admin", "brain-devs", "brain-ops"]});
        let identity = read(&rules, &claims).unwrap();
        assert_eq!((identity.role, identity.tenant.as_str()), (Role::Operator, "fallback"));
        assert!(identity.scopes.cover("tasks", "work") && !identity.scopes.cover("tasks", "manage"));
        claims["https://claims.example/tenant"] = json!("acme");
        assert_eq!(read(&rules, &claims).unwrap().tenant.as_str(), "acme");
        claims["scope"] = json!("openid profile");
        assert!(
            read(&rules, &claims)
                .unwrap_err()
                .starts_with("403 the token has no scope")
        );
        claims["realm_access"] = json!({"roles": ["admin"]});
        assert!(
            read(&rules, &claims)
                .unwrap_err()
                .starts_with("403 the token gives no role"),
            "it is not in the map"
        );
    }

    proptest! {
        #[test]
        fn foreign_claims_never_panic(name in "(exp|nbf|aud|sub|iss|scope|studio_brain_role|[a-z.]{0,8})", text in "\\PC{0,20}", number in any::<f64>()) {
            let rules = rules(|config| config.scope_claim = Some("scope".to_owned()));
            for value in [json!(text), json!(number), json!([text, number]), json!({"x": text})] {
                let mut claims = claims();
                claims[&name] = value;
                let _ = read(&rules, &claims);
            }
        }
    }
}

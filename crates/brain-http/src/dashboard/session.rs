//! Visitors of the dashboard: from the cookie of a request to who that is, and what their forms must carry.
//!
//! Invariants: the cookie of a session is out of reach of scripts, is sent to the dashboard alone and with no request that begins on
//! another site; a form token tells nothing of the cookie that it is made of, and is good with that cookie alone.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use subtle::ConstantTimeEq as _;

use crate::{
    access::{
        Caller,
        gate::{Begun, Credential},
        sessions::{SessionDigest, SessionSecret},
    },
    app::App,
    problem::{Kind, Problem},
};

/// The cookie of somebody who logged in.
const SESSION: &str = "brain_session";
/// The cookie by which the forms of somebody are known who did not.
const VISIT: &str = "brain_visit";
/// What the form of the login is for, and what all others are for.
const LOGIN_FORM: &[u8] = b"login form";
const ANY_FORM: &[u8] = b"form";

/// Somebody who may look at pages.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    caller: Caller,
    form_token: String,
    /// The session; none where nobody logs in.
    session: Option<SessionDigest>,
    new_cookie: Option<HeaderValue>,
}

impl Visitor {
    /// Who sends these headers.
    ///
    /// # Errors
    /// A problem that says why they let nobody in.
    pub(crate) async fn of(app: &App, headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(local) = app.gate.without_credential() {
            let visit = Visit::of(headers)?;
            return Ok(Self {
                caller: Caller(local),
                // Cookies of this machine are shown to every server on it, so the cookie alone must not be enough.
                form_token: visit.secret.derive(&[ANY_FORM, app.form_secret()?.reveal().as_bytes()]),
                session: None,
                new_cookie: visit.new_cookie,
            });
        }
        let none = || Problem::new(Kind::Unauthorized, "this page needs a session: log in with a token");
        let secret = cookie(headers, SESSION)
            .and_then(SessionSecret::parse)
            .ok_or_else(none)?;
        Ok(Self {
            caller: Caller(app.gate.session(secret.digest()).await?),
            form_token: secret.derive(&[ANY_FORM]),
            session: Some(secret.digest()),
            new_cookie: None,
        })
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn session(&self) -> Option<SessionDigest> {
        self.session
    }

    pub(super) fn new_cookie(&self) -> Option<&HeaderValue> {
        self.new_cookie.as_ref()
    }

    /// What every form of this visitor carries.
    pub(super) fn form_token(&self) -> &str {
        &self.form_token
    }

    /// By what a stream that this visitor opens is let in.
    pub(super) fn credential(&self) -> Credential {
        match self.session {
            Some(session) => Credential::Session(session),
            None => Credential::Headers(HeaderMap::new()),
        }
    }

    /// Whether it is allowed this.
    pub(super) fn may(&self, resource: &str, action: &str) -> bool {
        self.caller.must(resource, action).is_ok()
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let visitor = parts.extensions.get::<Self>().cloned();
        visitor.ok_or_else(|| Problem::internal("a handler of a public route asks for its visitor"))
    }
}

/// The login form of somebody.
pub(super) struct Visit {
    secret: SessionSecret,
    pub(super) new_cookie: Option<HeaderValue>,
}

impl Visit {
    /// That of these headers, or a new one.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(secret) = cookie(headers, VISIT).and_then(SessionSecret::parse) {
            return Ok(Self {
                secret,
                new_cookie: None,
            });
        }
        let secret = SessionSecret::generate()?;
        let text = format!(
            "{VISIT}={}; Path=/dashboard; HttpOnly; SameSite=Strict{}",
            secret.reveal(),
            secure(headers)
        );
        Ok(Self {
            secret,
            new_cookie: Some(HeaderValue::from_str(&text).map_err(Problem::internal)?),
        })
    }

    pub(super) fn login_token(&self) -> String {
        self.secret.derive(&[LOGIN_FORM])
    }
}

/// Whether a form carries what it must; takes the same time wherever the first difference is.
///
/// # Errors
/// A problem that tells a person what to do.
pub(super) fn check_form(expected: &str, given: Option<&str>) -> Result<(), Problem> {
    let same = given.is_some_and(|given| given.as_bytes().ct_eq(expected.as_bytes()).into());
    let detail = "this form belongs to another session, or it is too old: go back, load the page again and repeat it";
    same.then_some(()).ok_or_else(|| Problem::new(Kind::Forbidden, detail))
}

/// The cookie of a session that begins.
pub(super) fn begin(begun: &Begun, headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let text = format!(
        "{SESSION}={}; Path=/dashboard; Max-Age={}; HttpOnly; SameSite=Strict{}",
        begun.secret.reveal(),
        begun.lives.as_secs(),
        secure(headers)
    );
    HeaderValue::from_str(&text).map_err(Problem::internal)
}

/// Takes the cookie of a session away.
pub(super) fn end() -> HeaderValue {
    HeaderValue::from_static("brain_session=; Path=/dashboard; Max-Age=0; HttpOnly; SameSite=Strict")
}

/// A cookie that comes once. One that comes twice was set by somebody else too.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(given, _)| *given == name).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (only, None) => only,
        _ => None,
    }
}

/// The mark of a cookie that must not be sent in the clear, where the browser spoke in secret: this server is then behind
/// another one. Who pretends that only makes its own cookie stricter.
fn secure(headers: &HeaderMap) -> &'static str {
    let text = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_ascii_lowercase()
    };
    let is_https = text(header::ORIGIN).starts_with("https://")
        || text(HeaderName::from_static("x-forwarded-proto")) == "https"
        || text(header::FORWARDED).contains("proto=https");
    if is_https { "; Secure" } else { "" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_where_it_comes_once() {
        for (given, found) in [
            ("a=1; brain_visit=x; b=2", Some("x")),
            ("brain_visit=x", Some("x")),
            ("xbrain_visit=x", None),
            ("brain_visit=x; brain_visit=y", None),
            ("brain_visit", None),
            ("", None),
        ] {
            assert_eq!(cookie(&headers(&[("cookie", given)]), VISIT), found, "{given}");
        }
        let two = headers(&[("cookie", "brain_visit=x"), ("cookie", "brain_visit=x")]);
        assert_eq!(cookie(&two, VISIT), None);
    }

    #[test]
    fn a_cookie_is_secure_behind_https() {
        for (name, value) in [
            ("origin", "https://brain.example"),
            ("x-forwarded-proto", "HTTPS"),
            ("forwarded", "for=192.0.2.60;proto=https;by=203.0.113.43"),
        ] {
            assert_eq!(secure(&headers(&[(name, value)])), "; Secure", "{name}");
        }
        for (name, value) in [("origin", "http://https.example"), ("x-forwarded-proto", "http")] {
            assert_eq!(secure(&headers(&[(name, value)])), "", "{name}");
        }
        assert_eq!(secure(&HeaderMap::new()), "");
    }

    #[test]
    fn a_form_must_carry_its_token() {
        assert!(check_form("abc", Some("abc")).is_ok());
        for wrong in [None, Some(""), Some("ab"), Some("abd"), Some("abcd")] {
            assert!(check_form("abc", wrong).is_err(), "{wrong:?}");
        }
    }
}

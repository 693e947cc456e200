//! The administrator's token.

use axum::http::{HeaderMap, header};
use brain_config::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::problem::{Kind, Problem};

/// The header of the original.
const HEADER: &str = "x-studio-brain-admin-token";

/// A token that callers must present to change anything.
#[derive(Debug)]
pub(super) struct AdminToken(SecretString);

impl AdminToken {
    pub(super) fn new(token: SecretString) -> Self {
        Self(token)
    }

    /// Lets a request pass that carries the token.
    ///
    /// # Errors
    /// A problem that names both headers.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let own = headers.get(HEADER).map(axum::http::HeaderValue::as_bytes);
        let given = own.or_else(|| bearer(headers.get(header::AUTHORIZATION)?.as_bytes()));
        if given.is_some_and(|given| self.is(given)) {
            return Ok(());
        }
        let detail = match given {
            Some(_) => "the token is not the one of STUDIO_BRAIN_ADMIN_TOKEN",
            None => {
                "changes need the token of STUDIO_BRAIN_ADMIN_TOKEN, as x-studio-brain-admin-token or Authorization: Bearer"
            }
        };
        Err(Problem::new(Kind::Unauthorized, detail))
    }

    /// Takes the same time wherever the first difference is.
    fn is(&self, given: &[u8]) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(given).into()
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn passes(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        AdminToken::new("right-token".into()).check(&headers).is_ok()
    }

    #[test]
    fn both_headers_carry_it() {
        assert!(passes(&[(HEADER, "right-token")]));
        assert!(passes(&[("authorization", "Bearer right-token")]));
        assert!(passes(&[("authorization", "bearer  right-token")]));
    }

    #[test]
    fn nothing_else_passes() {
        let cases: &[&[(&str, &str)]] = &[
            &[],
            &[(HEADER, "")],
            &[(HEADER, "right-toke")],
            &[(HEADER, "right-token2")],
            &[(HEADER, "Right-token")],
            &[("authorization", "right-token")],
            &[("authorization", "Basic right-token")],
            &[("authorization", "Bearer")],
            &[(HEADER, "wrong"), ("authorization", "Bearer right-token")],
        ];
        for case in cases {
            assert!(!passes(case), "{case:?}");
        }
    }
}

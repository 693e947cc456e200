//! What a form of a page sends.
//!
//! Invariant: nothing of it is read before its token was found good, so an action cannot be had without.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, FromRequestParts as _, Request},
    http::{HeaderMap, header},
};

use super::session::{self, Visitor};
use crate::{
    app::App,
    body,
    problem::{Kind, Problem},
    query::Query,
};

/// The field of the token.
pub(super) const TOKEN: &str = "form";

/// A form that its visitor has sent from a page of this server.
pub(crate) struct Posted {
    pub(super) visitor: Visitor,
    body: String,
}

impl Posted {
    /// The fields; `known` names all of them, [`TOKEN`] too.
    pub(super) fn fields(&self, known: &'static [&'static str]) -> Result<Query<'_>, Problem> {
        Query::parse(Some(&self.body), known)
    }
}

impl FromRequest<Arc<App>> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let body = text(app, Request::from_parts(parts, body)).await?;
        session::check_form(visitor.form_token(), token(&body))?;
        Ok(Self { visitor, body })
    }
}

/// The body of a form.
pub(super) async fn text(app: &App, request: Request) -> Result<String, Problem> {
    if !is_form(request.headers()) {
        let detail = "the body must be a form: application/x-www-form-urlencoded";
        return Err(Problem::new(Kind::MalformedRequest, detail));
    }
    let bytes = body::read(request, app.body_limits).await?;
    String::from_utf8(bytes.into()).map_err(|_| Problem::new(Kind::MalformedRequest, "the form is not UTF-8"))
}

/// The token in the body of a form; it is hexadecimal, so nothing of it is escaped.
pub(super) fn token(body: &str) -> Option<&str> {
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == TOKEN).map(|(_, value)| value).next()
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

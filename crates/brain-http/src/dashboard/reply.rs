//! The answers of the dashboard: pages, redirections, files.
//!
//! Invariant: every one has the same content security policy, under which nothing runs or loads that this server did not send as a
//! file of its own.

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};

use super::{session::Visitor, text};
use crate::problem::Problem;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);
/// Other sites learn nothing of the paths here. With `no-referrer` a form would be sent with an unknown origin.
const REFERRER: HeaderValue = HeaderValue::from_static("same-origin");

/// Under which rules a browser may show it.
pub(super) fn protect(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::REFERRER_POLICY, REFERRER);
}

/// A page.
///
/// # Errors
/// A problem when the template fails, which is a defect.
pub(super) fn html(status: StatusCode, template: &impl Template) -> Result<Response, Problem> {
    let page = template.render().map_err(Problem::internal)?;
    let mut response = Response::new(Body::from(text::disarmed(page)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HTML);
    protect(response.headers_mut());
    Ok(response)
}

/// A page for a visitor, who is given a cookie where it has none.
///
/// # Errors
/// As [`html`].
pub(super) fn page(visitor: &Visitor, template: &impl Template) -> Result<Response, Problem> {
    let mut response = html(StatusCode::OK, template)?;
    if let Some(cookie) = visitor.new_cookie() {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    Ok(response)
}

/// Leads to another page, which is then fetched.
///
/// # Errors
/// A problem when the place cannot be in a header, which is a defect.
pub(super) fn see(place: &str) -> Result<Response, Problem> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let place = HeaderValue::from_str(place).map_err(Problem::internal)?;
    response.headers_mut().insert(header::LOCATION, place);
    protect(response.headers_mut());
    Ok(response)
}

/// A file of this program.
pub(super) fn file(kind: &'static str, content: &'static str) -> Response {
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    protect(headers);
    response
}

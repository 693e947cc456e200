//! `/openapi.json` and `/docs`: what the interface is, for programs and for people.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};

use crate::{openapi, problem::Problem, query::Query, reply};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The OpenAPI document, or that the caller has it already.
pub(crate) async fn document(headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let served = openapi::json();
    let mut response = if has_it(&headers, &served.etag) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        let mut response = Response::new(Body::from(served.bytes.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response
    };
    let etag = HeaderValue::from_str(&served.etag).map_err(Problem::internal)?;
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

/// The same as a page.
pub(crate) async fn page(uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let (served, policy) = openapi::html();
    let mut response = Response::new(Body::from(served.bytes.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HTML);
    let policy = HeaderValue::from_str(policy).map_err(Problem::internal)?;
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// Whether one of the tags that the caller has is this one (RFC 9110, section 13.1.2: compared weakly).
fn has_it(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|given| {
        let mut tags = given.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_tag_is_found_among_several() {
        let cases = [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ];
        for (given, known) in cases {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, given.parse().unwrap())]);
            assert_eq!(has_it(&headers, "\"a\""), known, "{given}");
        }
    }
}

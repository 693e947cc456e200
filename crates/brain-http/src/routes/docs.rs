//! `/openapi.json` and `/docs`: what the interface is, for programs and for people.

use axum::{
    body::Body,
    http::{HeaderValue, Uri, header},
    response::Response,
};

use crate::{openapi, problem::Problem, query::Query};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The OpenAPI document. Whoever has it already is told so where all answers are sent.
pub(crate) async fn document(uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let served = openapi::json();
    let mut response = Response::new(Body::from(served.bytes.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(
        header::ETAG,
        HeaderValue::from_str(&served.etag).map_err(Problem::internal)?,
    );
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

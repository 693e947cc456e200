//! The bodies of good answers.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use brain_connectivity::health::Report;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer in JSON.
///
/// # Errors
/// A problem when the value has no form in JSON, which is a defect.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(value).map_err(Problem::internal)?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    Ok(response)
}

/// One thing in JSON, with an entity tag: who has it already can ask whether it changed.
///
/// # Errors
/// As [`json`].
pub(crate) fn thing(value: &impl Serialize) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(value).map_err(Problem::internal)?;
    let digest = Sha256::digest(&bytes);
    let tag: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(
        header::ETAG,
        HeaderValue::from_str(&format!("\"{tag}\"")).map_err(Problem::internal)?,
    );
    Ok(response)
}

/// Whether one of the tags that the caller has is the one of the answer (RFC 9110, section 13.1.2: compared weakly).
pub(crate) fn is_known(asked: &[HeaderValue], answer: &HeaderMap) -> bool {
    let Some(tag) = answer.get(header::ETAG) else {
        return false;
    };
    asked.iter().any(|asked| {
        let mut tags = asked.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).as_bytes() == tag.as_bytes())
    })
}

/// A health report: its status says at once what it is in sum.
///
/// # Errors
/// As [`json`].
pub(crate) fn report(report: &Report) -> Result<Response, Problem> {
    let status = if report.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, report)
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Now, to the millisecond.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    let rounding = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Trunc);
    now.round(rounding).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_tag_is_found_among_several() {
        let answer = HeaderMap::from_iter([(header::ETAG, "\"a\"".parse().unwrap())]);
        let cases: [(&[&str], bool); 9] = [
            (&["\"a\""], true),
            (&["W/\"a\""], true),
            (&["\"b\", \"a\""], true),
            (&["\"b\"", "\"a\""], true),
            (&["*"], true),
            (&["\"b\""], false),
            (&["a"], false),
            (&[""], false),
            (&[], false),
        ];
        for (given, known) in cases {
            let given: Vec<HeaderValue> = given.iter().map(|one| one.parse().unwrap()).collect();
            assert_eq!(is_known(&given, &answer), known, "{given:?}");
            assert!(!is_known(&given, &HeaderMap::new()), "an answer without a tag");
        }
    }
}

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

/// Whether the caller has this very answer already.
pub(crate) fn is_known(asked: Option<&HeaderValue>, answer: &HeaderMap) -> bool {
    let (Some(asked), Some(tag)) = (asked.and_then(|asked| asked.to_str().ok()), answer.get(header::ETAG)) else {
        return false;
    };
    // Compared weakly, as the standard says for reading.
    let mut asked = asked.split(',').map(|one| one.trim().trim_start_matches("W/"));
    asked.any(|one| one == "*" || one.as_bytes() == tag.as_bytes())
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

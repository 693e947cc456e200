//! The bodies of good answers.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use brain_connectivity::health::Report;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde::Serialize;

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

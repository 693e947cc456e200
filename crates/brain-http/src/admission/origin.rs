//! Cross-origin resource sharing: what a page of another origin may do.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers that a page may send.
const SENDABLE: HeaderValue =
    HeaderValue::from_static("authorization, content-type, traceparent, x-request-id, x-studio-brain-admin-token");
/// Headers that a page may read.
const READABLE: HeaderValue = HeaderValue::from_static("retry-after, x-request-id, x-trace-id");
/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Whether an `OPTIONS` request asks for leave to send another one.
pub(super) fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Gives leave for these methods.
pub(super) fn allow(headers: &mut HeaderMap, methods: &'static str) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, SENDABLE);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
}

/// Lets a page of this origin read the answer.
pub(crate) fn expose(headers: &mut HeaderMap, origin: HeaderValue) {
    const ALLOW_ORIGIN: HeaderName = header::ACCESS_CONTROL_ALLOW_ORIGIN;
    headers.insert(ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, READABLE);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
}

/// The `host[:port]` of an origin.
pub(super) fn authority(origin: &str) -> Option<&str> {
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
}

//! Problem documents (RFC 9457): the one form in which a client learns that something went wrong.
//!
//! Invariants: the type of a problem never changes its meaning; what a client reads holds nothing of the inside; the
//! cause, where there is one, is logged once, where the problem becomes an answer.

mod kind;
mod mapping;

use std::{borrow::Cow, fmt, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use brain_swarm::governance::decide::ReasonCode;
use serde::Serialize;

pub(crate) use self::{kind::Kind, mapping::shortened};

/// The media type of a problem document.
pub(crate) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Something that went wrong, as the client is to learn of it.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    detail: Cow<'static, str>,
    faults: Vec<Fault>,
    /// For the log alone.
    cause: Option<Arc<str>>,
    allow: Option<&'static str>,
    reason_code: Option<ReasonCode>,
    retry_after: Option<u32>,
}

/// What is wrong with one item of several.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ProblemOfItem")]
pub(crate) struct Fault {
    /// The place of the item in the list, from 0.
    pub(crate) index: usize,
    /// The type that the item alone would have given.
    #[serde(rename = "type", serialize_with = "Kind::as_type")]
    pub(crate) kind: Kind,
    /// What is wrong with it.
    pub(crate) detail: String,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Document<'a> {
    #[serde(rename = "type", serialize_with = "Kind::as_type")]
    kind: Kind,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Fault],
    /// Why governance does not allow it, in one of the stable codes.
    #[serde(rename = "reasonCode", skip_serializing_if = "Option::is_none")]
    reason_code: Option<ReasonCode>,
    /// After how many seconds it may be different, where it is a matter of time.
    #[serde(rename = "retryAfterSeconds", skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

impl Problem {
    /// A problem of this kind. The detail says what happened and, where it can, what to do.
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            faults: Vec::new(),
            cause: None,
            allow: None,
            reason_code: None,
            retry_after: None,
        }))
    }

    /// A defect of this program.
    pub(crate) fn internal(cause: impl fmt::Display) -> Self {
        let detail = "the request failed for a reason inside the server; the log has it under this request id";
        Self::new(Kind::Internal, detail).caused_by(cause)
    }

    /// Keeps the cause for the log.
    pub(crate) fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string().into());
        self
    }

    /// Says of which item it is, and what that means for the others.
    pub(crate) fn about(mut self, item: &str, others: &str) -> Self {
        self.0.detail = format!("{item}: {}; {others}", self.0.detail).into();
        self
    }

    /// Lists what is wrong with each item.
    pub(crate) fn with_faults(mut self, faults: Vec<Fault>) -> Self {
        self.0.faults = faults;
        self
    }

    /// Names the methods that would be allowed.
    pub(crate) fn allowing(mut self, methods: &'static str) -> Self {
        self.0.allow = Some(methods);
        self
    }

    /// Says why governance refuses, and after how many seconds it may be different.
    pub(crate) fn decided(mut self, code: ReasonCode, retry_after_seconds: Option<u32>) -> Self {
        self.0.reason_code = Some(code);
        self.0.retry_after = retry_after_seconds;
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    pub(crate) fn title(&self) -> &'static str {
        self.0.kind.title()
    }

    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The document itself.
    pub(crate) fn document(&self, request_id: &str) -> Vec<u8> {
        let status = self.0.kind.status();
        let document = Document {
            kind: self.0.kind,
            title: self.0.kind.title(),
            status: status.as_u16(),
            detail: &self.0.detail,
            instance: request_id,
            errors: &self.0.faults,
            reason_code: self.0.reason_code,
            retry_after_seconds: self.0.retry_after,
        };
        // Text and numbers always serialise.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// Adds the headers that belong to this problem.
    pub(crate) fn headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if let Some(allow) = self.0.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        } else if let Some(seconds) = self.0.kind.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if self.0.kind == Kind::Unauthorized {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"studio-brain\""),
            );
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.title(), self.0.detail)
    }
}

/// The bare status, with the problem beside it: the outermost layer knows the request id and writes the document.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.kind.status();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(problem: &Problem) -> String {
        String::from_utf8_lossy(&problem.document("r-1")).into_owned()
    }

    #[test]
    fn a_document_has_what_the_standard_asks_for() {
        insta::assert_snapshot!(
            text(&Problem::new(Kind::NotFound, "there is no task \"t\" here")),
            @r#"{"type":"urn:studio-brain:problem:not-found","title":"Not found","status":404,"detail":"there is no task \"t\" here","instance":"r-1"}"#
        );
    }

    #[test]
    fn faults_are_listed_with_their_places() {
        let fault = Fault {
            index: 3,
            kind: Kind::InvalidEvent,
            detail: "missing field `type`".to_owned(),
        };
        insta::assert_snapshot!(
            text(&Problem::new(Kind::InvalidEvent, "1 of 4 events cannot be stored").with_faults(vec![fault])),
            @r#"{"type":"urn:studio-brain:problem:invalid-event","title":"Invalid event","status":422,"detail":"1 of 4 events cannot be stored","instance":"r-1","errors":[{"index":3,"type":"urn:studio-brain:problem:invalid-event","detail":"missing field `type`"}]}"#
        );
    }

    #[test]
    fn the_cause_stays_inside() {
        let problem = Problem::internal("connection to 10.0.0.7 as admin failed");
        assert!(!text(&problem).contains("10.0.0.7"));
        assert_eq!(problem.cause(), Some("connection to 10.0.0.7 as admin failed"));
    }
}

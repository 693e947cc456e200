//! The store's error answers: read, and sorted into the error a caller can act on.

use s3::command::Command;
use serde::Deserialize;

use super::{Error, error::Context};

/// An answer other than success.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The store's error code; empty where the answer has no readable body.
    pub(super) code: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename = "Error")]
struct Document {
    #[serde(rename = "Code", default)]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
}

impl Refusal {
    /// Reads an error document; anything else counts as one without code.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let document = std::str::from_utf8(body)
            .ok()
            .and_then(|text| quick_xml::de::from_str::<Document>(text).ok())
            .unwrap_or(Document {
                code: String::new(),
                message: String::new(),
            });
        Self {
            status,
            code: document.code,
            message: document.message,
        }
    }

    /// Reads an error document that came with status 200, as the answer to the end of a multipart upload may:
    /// the status is sent before the store knows how it ends.
    pub(super) fn read_late(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        if !text.contains("<Error>") {
            return None;
        }
        Some(Self::read(500, body))
    }

    /// Whether the same request may succeed a moment later.
    pub(super) fn passes(&self) -> bool {
        self.status >= 500 || matches!(self.status, 408 | 429)
    }

    pub(super) fn into_error(self, context: Box<Context>) -> Error {
        let Self {
            status,
            mut code,
            message,
        } = self;
        if code == "NoSuchBucket" {
            return Error::BucketMissing { context };
        }
        let region = matches!(
            code.as_str(),
            "AuthorizationHeaderMalformed"
                | "PermanentRedirect"
                | "InvalidRegionName"
                | "IllegalLocationConstraintException"
        );
        if code.is_empty() {
            code.push_str("without a reason");
        }
        if region || matches!(status, 301 | 307) {
            Error::Region {
                context,
                status,
                code,
                message,
            }
        } else if matches!(status, 401 | 403) {
            Error::Denied {
                context,
                status,
                code,
                message,
            }
        } else {
            Error::Refused {
                context,
                status,
                code,
                message,
            }
        }
    }
}

/// The cheapest request whose refusal comes with a reason: a listing of one object.
pub(super) fn probe_listing() -> Command<'static> {
    Command::ListObjectsV2 {
        prefix: String::new(),
        delimiter: None,
        continuation_token: None,
        start_after: None,
        max_keys: Some(1),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use std::sync::Arc;

    use super::*;
    use crate::artifacts::error::Place;

    fn error(status: u16, body: &str) -> Error {
        let place = Arc::new(Place {
            endpoint: "http://s".into(),
            bucket: "b".into(),
        });
        Refusal::read(status, body.as_bytes()).into_error(Box::new(Context {
            place,
            action: "list",
            key: None,
        }))
    }

    #[test]
    fn a_reason_is_read_from_the_document() {
        let body = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Error><Code>AccessDenied</Code><Message>No &amp; no</Message><RequestId>1</RequestId></Error>"#;
        let refusal = Refusal::read(403, body.as_bytes());
        assert_eq!(
            (refusal.code.as_str(), refusal.message.as_str()),
            ("AccessDenied", "No & no")
        );
    }

    #[test]
    fn what_is_no_error_document_still_gives_an_error() {
        for body in ["", "<html><body>oops", "{\"a\":1}", "<Error><Code>", "\u{0}"] {
            assert!(
                matches!(error(400, body), Error::Refused { status: 400, .. }),
                "{body:?}"
            );
        }
        assert_eq!(Refusal::read(500, &[0xff, 0xfe]).code, "");
    }

    #[test]
    fn sorted_by_what_the_caller_can_do() {
        assert!(matches!(
            error(404, "<Error><Code>NoSuchBucket</Code></Error>"),
            Error::BucketMissing { .. }
        ));
        assert!(matches!(error(301, ""), Error::Region { .. }));
        assert!(matches!(
            error(400, "<Error><Code>AuthorizationHeaderMalformed</Code></Error>"),
            Error::Region { .. }
        ));
        assert!(matches!(
            error(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>"),
            Error::Denied { .. }
        ));
        assert!(matches!(
            error(409, "<Error><Code>OperationAborted</Code></Error>"),
            Error::Refused { status: 409, .. }
        ));
    }

    #[test]
    fn a_failure_after_status_200_is_seen() {
        let late = Refusal::read_late(b"  <Error><Code>InternalError</Code><Message>m</Message></Error>").unwrap();
        assert!(late.passes());
        assert!(
            Refusal::read_late(b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")
                .is_none()
        );
    }
}

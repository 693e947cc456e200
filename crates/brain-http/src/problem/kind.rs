//! The kinds of problems: stable type, title, status.
//!
//! Clients match on the type, so a kind is never renamed and never changes its meaning; new ones are added.

use std::borrow::Cow;

use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serializer;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident, $slug:literal, $title:literal, $status:ident;)+) => {
        /// What kind of problem it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Kind {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Kind {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),+];

            /// The stable identifier of the kind.
            pub(crate) const fn urn(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("urn:studio-brain:problem:", $slug),)+
                }
            }

            /// What the type ends with.
            pub(crate) const fn slug(self) -> &'static str {
                match self {
                    $(Self::$name => $slug,)+
                }
            }

            /// What it means.
            pub(crate) const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+),)+
                }
            }

            /// A short summary that is the same for every problem of the kind.
            pub(crate) const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)+
                }
            }

            /// The status of an answer with this problem.
            pub(crate) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)+
                }
            }
        }
    };
}

kinds! {
    /// The request breaks a rule of HTTP.
    MalformedRequest, "malformed-request", "Malformed request", BAD_REQUEST;
    /// The body is not JSON.
    MalformedJson, "malformed-json", "Malformed JSON", BAD_REQUEST;
    /// A parameter in the path or the query is unknown, repeated or wrong.
    InvalidParameter, "invalid-parameter", "Invalid parameter", BAD_REQUEST;
    /// The cursor was not given by this server for this query.
    InvalidCursor, "invalid-cursor", "Invalid cursor", BAD_REQUEST;
    /// The request carries no valid token, and needs one.
    Unauthorized, "unauthorized", "Unauthorized", UNAUTHORIZED;
    /// The caller may not do this: its role or its scopes do not cover it.
    Forbidden, "forbidden", "Forbidden", FORBIDDEN;
    /// Governance does not allow it; `reasonCode` says why.
    NotAllowed, "not-allowed", "Not allowed", FORBIDDEN;
    /// The Host header names another machine.
    ForbiddenHost, "forbidden-host", "Forbidden host", FORBIDDEN;
    /// A page of an origin that is not allowed asks.
    ForbiddenOrigin, "forbidden-origin", "Forbidden origin", FORBIDDEN;
    /// There is no such thing.
    NotFound, "not-found", "Not found", NOT_FOUND;
    /// The thing is there, the method is not.
    MethodNotAllowed, "method-not-allowed", "Method not allowed", METHOD_NOT_ALLOWED;
    /// The body did not arrive in time.
    BodyTimeout, "body-timeout", "Body time-out", REQUEST_TIMEOUT;
    /// An event with this id is stored with other content.
    EventConflict, "event-conflict", "Event conflict", CONFLICT;
    /// The dead letter was replayed or dropped before.
    NotParked, "not-parked", "Not parked", CONFLICT;
    /// The lease on the task is over, or somebody else has it.
    LeaseLost, "lease-lost", "Lease lost", CONFLICT;
    /// The budget does not give it.
    BudgetExhausted, "budget-exhausted", "Budget exhausted", CONFLICT;
    /// The version of the schema is there with another content, or would leave a gap.
    SchemaConflict, "schema-conflict", "Schema conflict", CONFLICT;
    /// The schema does not go with the version before.
    IncompatibleSchema, "incompatible-schema", "Incompatible schema", CONFLICT;
    /// The proposal was executed before.
    AlreadyExecuted, "already-executed", "Already executed", CONFLICT;
    /// It does not fit with how things stand.
    Refused, "refused", "Refused", CONFLICT;
    /// The skill may not be installed or started; the detail begins with the stage at which it was refused.
    SkillRefused, "skill-refused", "Skill refused", CONFLICT;
    /// The first request with this idempotency key is not answered yet.
    InProgress, "request-in-progress", "Request in progress", CONFLICT;
    /// The body is larger than allowed.
    BodyTooLarge, "body-too-large", "Body too large", PAYLOAD_TOO_LARGE;
    /// An event is larger than allowed, or there are too many in one request.
    EventTooLarge, "event-too-large", "Event too large", PAYLOAD_TOO_LARGE;
    /// The URL is longer than allowed.
    UriTooLong, "uri-too-long", "URI too long", URI_TOO_LONG;
    /// An event breaks the rules of the envelope or the schema of its type.
    InvalidEvent, "invalid-event", "Invalid event", UNPROCESSABLE_ENTITY;
    /// The body says something that cannot be done: a field is missing, unknown or wrong.
    InvalidRequest, "invalid-request", "Invalid request", UNPROCESSABLE_ENTITY;
    /// The tasks of one request wait for each other in a circle.
    DependencyCycle, "dependency-cycle", "Dependency cycle", UNPROCESSABLE_ENTITY;
    /// A schedule that could never work.
    InvalidSchedule, "invalid-schedule", "Invalid schedule", UNPROCESSABLE_ENTITY;
    /// The idempotency key belongs to another request.
    KeyReused, "idempotency-key-reused", "Idempotency key reused", UNPROCESSABLE_ENTITY;
    /// It is no schema that can be registered.
    InvalidSchema, "invalid-schema", "Invalid schema", UNPROCESSABLE_ENTITY;
    /// The skill gave no answer, or says that it failed.
    SkillFailed, "skill-failed", "Skill failed", UNPROCESSABLE_ENTITY;
    /// The database cannot hold the data.
    Rejected, "rejected", "Rejected", UNPROCESSABLE_ENTITY;
    /// The caller used its share.
    RateLimited, "rate-limited", "Rate limited", TOO_MANY_REQUESTS;
    /// Too many requests wait already.
    Overloaded, "overloaded", "Overloaded", TOO_MANY_REQUESTS;
    /// There are more header fields, or larger ones, than allowed.
    HeadersTooLarge, "headers-too-large", "Headers too large", REQUEST_HEADER_FIELDS_TOO_LARGE;
    /// A defect of the server.
    Internal, "internal", "Internal error", INTERNAL_SERVER_ERROR;
    /// A dependency is away, or the server is stopping.
    Unavailable, "unavailable", "Unavailable", SERVICE_UNAVAILABLE;
    /// The answer took too long; what the request asked for may still happen.
    Timeout, "timeout", "Time-out", SERVICE_UNAVAILABLE;
}

impl Kind {
    /// After how many seconds the same request may succeed, where waiting helps.
    pub(crate) const fn retry_after(self) -> Option<&'static str> {
        match self {
            Self::RateLimited | Self::InProgress | Self::Overloaded | Self::Unavailable | Self::Timeout => Some("1"),
            _ => None,
        }
    }

    /// The kind of what hyper refuses by itself before anybody sees a request.
    pub(crate) fn of_refusal(status: u16) -> Self {
        match status {
            414 => Self::UriTooLong,
            431 => Self::HeadersTooLarge,
            _ => Self::MalformedRequest,
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(crate) fn as_type<S: Serializer>(kind: &Self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.urn())
    }
}

impl JsonSchema for Kind {
    fn schema_name() -> Cow<'static, str> {
        "ProblemType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let urns: Vec<&str> = Self::ALL.iter().map(|kind| kind.urn()).collect();
        json_schema!({
            "type": "string",
            "description": "What kind of problem it is. A type never changes its meaning; new ones may be added.",
            "enum": urns,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change here breaks clients.
    #[test]
    fn types_and_statuses_are_stable() {
        let lines: Vec<String> = Kind::ALL
            .iter()
            .map(|kind| format!("{} {} {}", kind.status().as_u16(), kind.urn(), kind.title()))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        400 urn:studio-brain:problem:malformed-request Malformed request
        400 urn:studio-brain:problem:malformed-json Malformed JSON
        400 urn:studio-brain:problem:invalid-parameter Invalid parameter
        400 urn:studio-brain:problem:invalid-cursor Invalid cursor
        401 urn:studio-brain:problem:unauthorized Unauthorized
        403 urn:studio-brain:problem:forbidden Forbidden
        403 urn:studio-brain:problem:not-allowed Not allowed
        403 urn:studio-brain:problem:forbidden-host Forbidden host
        403 urn:studio-brain:problem:forbidden-origin Forbidden origin
        404 urn:studio-brain:problem:not-found Not found
        405 urn:studio-brain:problem:method-not-allowed Method not allowed
        408 urn:studio-brain:problem:body-timeout Body time-out
        409 urn:studio-brain:problem:event-conflict Event conflict
        409 urn:studio-brain:problem:not-parked Not parked
        409 urn:studio-brain:problem:lease-lost Lease lost
        409 urn:studio-brain:problem:budget-exhausted Budget exhausted
        409 urn:studio-brain:problem:schema-conflict Schema conflict
        409 urn:studio-brain:problem:incompatible-schema Incompatible schema
        409 urn:studio-brain:problem:already-executed Already executed
        409 urn:studio-brain:problem:refused Refused
        409 urn:studio-brain:problem:skill-refused Skill refused
        409 urn:studio-brain:problem:request-in-progress Request in progress
        413 urn:studio-brain:problem:body-too-large Body too large
        413 urn:studio-brain:problem:event-too-large Event too large
        414 urn:studio-brain:problem:uri-too-long URI too long
        422 urn:studio-brain:problem:invalid-event Invalid event
        422 urn:studio-brain:problem:invalid-request Invalid request
        422 urn:studio-brain:problem:dependency-cycle Dependency cycle
        422 urn:studio-brain:problem:invalid-schedule Invalid schedule
        422 urn:studio-brain:problem:idempotency-key-reused Idempotency key reused
        422 urn:studio-brain:problem:invalid-schema Invalid schema
        422 urn:studio-brain:problem:skill-failed Skill failed
        422 urn:studio-brain:problem:rejected Rejected
        429 urn:studio-brain:problem:rate-limited Rate limited
        429 urn:studio-brain:problem:overloaded Overloaded
        431 urn:studio-brain:problem:headers-too-large Headers too large
        500 urn:studio-brain:problem:internal Internal error
        503 urn:studio-brain:problem:unavailable Unavailable
        503 urn:studio-brain:problem:timeout Time-out
        ");
    }
}

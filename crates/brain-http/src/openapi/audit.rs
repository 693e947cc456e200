//! `/api/capabilities/audit`.

use axum::http::Method;
use brain_swarm::audit::{ApprovalState, Record};
use serde_json::json;

use super::{Described, described};
use crate::{problem::Kind, routes::audit};

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/api/capabilities/audit", |it| {
        let text = || json!({ "type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$" });
        it.named("listAudit", "The audit trail, the newest record first, by page")
            .says("Who did what to what, when, why, and whether it was allowed. Records are never changed, and the hash of each covers the one before.")
            .query_as("actionPrefix", "Only actions that begin like this, such as `token.`.", text())
            .query_as("actorId", "Only what this one did.", text())
            .query::<ApprovalState>("approvalState", "Only what stood like this as to approval.")
            .query_as("target", "Only what was done to this thing.", text())
            .paged()
            .gives::<audit::Page>(200, "A page of records.")
    }),
    described(Method::GET, "/api/capabilities/audit/export", |mut it| {
        let record = it.written::<Record>();
        let seq = json!({ "type": "integer", "minimum": 1, "maximum": i64::MAX });
        it.named("exportAudit", "The audit trail as lines of JSON, to be verified offline")
            .says("The first line is a manifest, then one record a line, at last a seal over all of it. `brain audit verify` checks it without a server; docs/AUDIT.md has the format.")
            .query_as("fromSeq", "From the record with this number; from the first where it is left out.", seq.clone())
            .query_as("toSeq", "Up to the record with this number; all where it is left out.", seq)
            .gives_as(200, "One snapshot of the trail. It is whole when its last line is the seal.", "application/jsonl", json!({ "type": "string", "x-line-schema": record }))
            .problems(&[Kind::NotFound, Kind::Overloaded])
    }),
];

//! `/api/capabilities/audit`: reading and exporting the audit trail of the caller's tenant.
//!
//! Invariant: an export whose body does not end with its seal is not whole, and the connection says so too.

use std::{io, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use brain_swarm::audit::{self, ApprovalState, Export, ExportError, Record, Selection};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    access::{Caller, gate::Credential},
    app::App,
    cursor::{List, Scope},
    exchange::Streaming,
    problem::{Kind, Problem},
    query::{Query, invalid},
    reply,
};

const JSON_LINES: HeaderValue = HeaderValue::from_static("application/jsonl");

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "AuditPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    records: Vec<Record>,
    next_cursor: Option<String>,
}

/// Records of the trail, the newest first, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(
        uri.query(),
        &["actionPrefix", "actorId", "approvalState", "target", "cursor", "limit"],
    )?;
    let approval_state: Option<ApprovalState> = query.get("approvalState")?;
    for name in ["actionPrefix", "actorId", "target"] {
        if query.text(name).is_some_and(|text| text.contains(char::is_control)) {
            return Err(invalid(name, "it must not contain control characters"));
        }
    }
    let filters = ["actionPrefix", "actorId", "approvalState", "target"].map(|name| query.text(name));
    let scope = Scope::new(List::Audit, &filters);
    let before = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let [action_prefix, actor_id, _, target] = filters.map(|text| text.map(str::to_owned));
    let wanted = audit::Query {
        tenant_id: caller.tenant_id.clone(),
        action_prefix,
        actor_id,
        approval_state,
        target,
        before,
        limit: query.limit()?,
    };
    let page = audit::list(&app.services.postgres, &wanted).await?;
    let next_cursor = page.next.map(|seq| scope.encode(&seq.to_string()));
    reply::json(
        StatusCode::OK,
        &Page {
            records: page.records,
            next_cursor,
        },
    )
}

/// The trail, or a part of it, as lines of JSON that can be verified offline.
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["fromSeq", "toSeq"])?;
    let selection = Selection {
        tenant_id: caller.tenant_id.clone(),
        from: seq(&query, "fromSeq")?,
        to: seq(&query, "toSeq")?,
    };
    let place = Arc::clone(&app.exports).try_acquire_owned().map_err(|_| {
        let detail = format!(
            "{} exports are under way, and no more are made at once",
            App::MAX_EXPORTS
        );
        Problem::new(Kind::Overloaded, detail)
    })?;
    let services = &app.services;
    let export = Export::begin(&services.postgres, services.audit_signer.as_ref(), &selection).await?;
    let name = format!("attachment; filename=\"audit-{}.jsonl\"", selection.tenant_id);
    let sending = Sending {
        export,
        credential: Credential::of(&headers),
        app: Arc::clone(&app),
        _place: place,
    };
    let mut response = Response::new(Body::from_stream(stream::try_unfold(sending, Sending::lines)));
    response.extensions_mut().insert(Streaming);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON_LINES);
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_str(&name).map_err(Problem::internal)?,
    );
    Ok(response)
}

/// The number of a record, where one is given.
fn seq(query: &Query<'_>, name: &'static str) -> Result<Option<i64>, Problem> {
    match query.get(name)? {
        Some(..1) => Err(invalid(name, "records are numbered from 1")),
        seq => Ok(seq),
    }
}

/// An export on its way to its caller.
struct Sending {
    export: Export,
    /// By what its caller was let in, and must still be.
    credential: Credential,
    app: Arc<App>,
    _place: OwnedSemaphorePermit,
}

impl Sending {
    async fn lines(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if !self.app.gate.still_lets_in(&self.credential).await {
            return Err(io::Error::other("the credential of this export is good no more"));
        }
        match self.export.next().await {
            Ok(lines) => Ok(lines.map(|lines| (lines, self))),
            Err(error) => {
                tracing::error!(
                    tenant.id = self.export.manifest().tenant_id.as_str(),
                    error = %error,
                    "an export of the audit trail is cut off"
                );
                Err(io::Error::other(error))
            }
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            // Each number may be one; that there is nothing between them is for the trail to say.
            ExportError::Beyond { .. } | ExportError::Range { .. } => Self::new(Kind::NotFound, error.to_string()),
            ExportError::Audit(error) => error.into(),
        }
    }
}

//! `/healthz`, `/readyz` and `/health/dependencies`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{app::App, problem::Problem, query::Query, reply};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Liveness")]
pub(crate) struct Live<'a> {
    ok: bool,
    service: &'a str,
    at: Timestamp,
}

/// This process answers.
pub(crate) async fn live(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    reply::json(
        StatusCode::OK,
        &Live {
            ok: true,
            service: &app.services.service_name,
            at: reply::now(),
        },
    )
}

/// Requests may come.
pub(crate) async fn ready(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let report = app.readiness().await;
    reply::report(&report)
}

/// How every dependency is.
pub(crate) async fn dependencies(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let report = app.health().await;
    reply::report(&report)
}

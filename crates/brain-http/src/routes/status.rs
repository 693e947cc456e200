//! `/api/status` and the metrics.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use brain_connectivity::postgres::PoolStatus;
use brain_swarm::{
    ids::{RunId, SwarmId},
    orchestrator::Snapshot,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{app::App, problem::Problem, query::Query, reply};

const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "ServiceStatus")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status<'a> {
    service: &'a str,
    version: &'a str,
    replica_id: &'a str,
    at: Timestamp,
    started_at: Timestamp,
    uptime_seconds: f64,
    swarm_id: Option<&'a SwarmId>,
    run_id: Option<&'a RunId>,
    orchestrator: Option<Snapshot>,
    postgres_pool: PoolStatus,
}

/// What this process is and does.
pub(crate) async fn status(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let services = &app.services;
    let at = reply::now();
    let uptime = at.duration_since(services.started_at).as_secs_f64().max(0.0);
    let status = Status {
        service: &services.service_name,
        version: &services.version,
        replica_id: &services.replica_id,
        at,
        started_at: services.started_at,
        uptime_seconds: (uptime * 1000.0).round() / 1000.0,
        swarm_id: services.defaults.swarm_id.as_ref(),
        run_id: services.defaults.run_id.as_ref(),
        orchestrator: services
            .orchestrator
            .as_ref()
            .map(|orchestrator| orchestrator.snapshot()),
        postgres_pool: services.postgres.pool_status(),
    };
    reply::json(StatusCode::OK, &status)
}

/// All metrics in the Prometheus text format.
pub(crate) async fn metrics(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    // What costs a question is asked now, and not while nobody wants to know.
    app.services.postgres.measure();
    if let Some(orchestrator) = &app.services.orchestrator {
        orchestrator.measure().await;
    }
    let mut response = Response::new(Body::from((app.services.metrics)()));
    response.headers_mut().insert(header::CONTENT_TYPE, PROMETHEUS);
    Ok(response)
}

//! What is counted, with handles that are looked up once.
//!
//! A handle costs a look-up with hashing and allocation; a request should cost an addition.

use std::{sync::OnceLock, time::Duration};

use axum::http::Method;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::{
    metric_names as names,
    problem::Kind,
    routes::{self, RouteId},
};

/// Method names that become labels. Callers may invent others.
pub(crate) const METHODS: [&str; 6] = ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "other"];
/// Statuses that become labels.
const STATUSES: [u16; 24] = [
    200, 201, 204, 400, 401, 403, 404, 405, 408, 409, 413, 414, 422, 429, 431, 499, 500, 503, 301, 304, 406, 415, 502,
    504,
];
/// The same as text, and one for whatever else there may be.
const STATUS_LABELS: [&str; 25] = [
    "200", "201", "204", "400", "401", "403", "404", "405", "408", "409", "413", "414", "422", "429", "431", "499",
    "500", "503", "301", "304", "406", "415", "502", "504", "other",
];

/// The status of a request whose caller went away.
pub(crate) const CLIENT_CLOSED: u16 = 499;

/// The handles of one server.
pub(crate) struct Metrics {
    requests: Vec<[[OnceLock<Counter>; STATUS_LABELS.len()]; METHODS.len()]>,
    seconds: Vec<OnceLock<Histogram>>,
    pub(crate) in_flight: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) event_streams: Gauge,
    pub(crate) accept_pauses: Counter,
}

impl Metrics {
    /// Handles of the recorder that is installed now.
    pub(crate) fn new() -> Self {
        describe();
        // One row for each route, and one for what leads to none.
        let rows = routes::COUNT + 1;
        Self {
            requests: std::iter::repeat_with(Default::default).take(rows).collect(),
            seconds: std::iter::repeat_with(OnceLock::new).take(rows).collect(),
            in_flight: gauge!(names::REQUESTS_IN_FLIGHT),
            connections: gauge!(names::CONNECTIONS),
            event_streams: gauge!(names::EVENT_STREAMS),
            accept_pauses: counter!(names::ACCEPT_PAUSES),
        }
    }

    /// Counts an answered request; one that could not even be read has no method.
    pub(crate) fn request(&self, route: Option<RouteId>, method: Option<&Method>, status: u16, took: Duration) {
        let row = route.map_or(routes::COUNT, RouteId::index);
        let template = route.map_or("none", routes::template);
        let method = method
            .and_then(|method| METHODS.iter().position(|name| *name == method.as_str()))
            .unwrap_or(METHODS.len() - 1);
        let status = STATUSES
            .iter()
            .position(|known| *known == status)
            .unwrap_or(STATUSES.len());
        self.requests[row][method][status]
            .get_or_init(|| {
                let (method, status) = (METHODS[method], STATUS_LABELS[status]);
                counter!(names::REQUESTS, "route" => template, "method" => method, "status" => status)
            })
            .increment(1);
        self.seconds[row]
            .get_or_init(|| histogram!(names::REQUEST_SECONDS, "route" => template))
            .record(took.as_secs_f64());
    }

    /// Counts a problem document.
    pub(crate) fn problem(&self, kind: Kind) {
        counter!(names::PROBLEMS, "type" => kind.slug()).increment(1);
    }

    /// Counts a connection that the server ended.
    pub(crate) fn cut(&self, reason: &'static str) {
        counter!(names::CONNECTIONS_CUT, "reason" => reason).increment(1);
    }
}

fn describe() {
    names::ALL.iter().for_each(brain_connectivity::metric::Metric::describe);
    // A series that appears with a 1 has not risen for those who watch.
    for kind in [Kind::Unauthorized, Kind::Forbidden, Kind::RateLimited, Kind::Internal] {
        counter!(names::PROBLEMS, "type" => kind.slug()).increment(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_that_a_problem_has_is_a_label() {
        for (status, label) in STATUSES.iter().zip(STATUS_LABELS) {
            assert_eq!(status.to_string(), label);
        }
        for kind in Kind::ALL {
            assert!(STATUSES.contains(&kind.status().as_u16()), "{kind:?}");
        }
    }
}

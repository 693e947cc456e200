//! Names of the metrics that this crate records through the `metrics` facade.
//!
//! They are stable: dashboards and alerts are written against them.

use brain_connectivity::metric::{Kind, Metric};

/// Requests answered, by `route` (its template), `method` and `status`. Counter. A request whose caller went away before
/// the answer has the status 499; a request that leads to no route has the route `none`.
pub const REQUESTS: &str = "studio_brain_http_requests_total";
/// Time from the head of a request to its answer, in seconds, by `route`. Histogram.
pub const REQUEST_SECONDS: &str = "studio_brain_http_request_duration_seconds";
/// Requests that are being handled. Gauge.
pub const REQUESTS_IN_FLIGHT: &str = "studio_brain_http_requests_in_flight";
/// Open connections. Gauge.
pub const CONNECTIONS: &str = "studio_brain_http_connections";
/// Connections that the server ended by itself, by `reason`: `slow-head`, `slow-reader`, `idle`, `drain`. Counter.
pub const CONNECTIONS_CUT: &str = "studio_brain_http_connections_cut_total";
/// Event streams that are open. Gauge.
pub const EVENT_STREAMS: &str = "studio_brain_http_event_streams";
/// Times at which all connections were in use and no more were accepted. Counter.
pub const ACCEPT_PAUSES: &str = "studio_brain_http_accept_pauses_total";

/// Problems that callers were answered with, by `type`.
pub const PROBLEMS: &str = "studio_brain_http_problems_total";

/// All of them.
pub const ALL: &[Metric] = &[
    Metric::new(
        Kind::Counter,
        (REQUESTS, "requests"),
        &["route", "method", "status"],
        "Requests answered; 499 when the caller went away, route `none` when the path leads nowhere.",
    ),
    Metric::new(
        Kind::Histogram,
        (REQUEST_SECONDS, "seconds"),
        &["route"],
        "Time from the head of a request to its answer. Calls that wait on purpose are among them.",
    ),
    Metric::new(
        Kind::Gauge,
        (REQUESTS_IN_FLIGHT, "requests"),
        &[],
        "Requests that are being handled.",
    ),
    Metric::new(
        Kind::Counter,
        (PROBLEMS, "answers"),
        &["type"],
        "Problem documents sent, by the last part of their type: `unauthorized`, `forbidden`, `rate-limited` and so on.",
    ),
    Metric::new(Kind::Gauge, (CONNECTIONS, "connections"), &[], "Open connections."),
    Metric::new(
        Kind::Counter,
        (CONNECTIONS_CUT, "connections"),
        &["reason"],
        "Connections that the server ended by itself: `slow-head`, `slow-reader`, `idle`, `drain`.",
    ),
    Metric::new(
        Kind::Gauge,
        (EVENT_STREAMS, "streams"),
        &[],
        "Event streams that are open.",
    ),
    Metric::new(
        Kind::Counter,
        (ACCEPT_PAUSES, "pauses"),
        &[],
        "Times at which all connections were in use and no more were accepted.",
    ),
];

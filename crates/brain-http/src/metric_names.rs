//! Names of the metrics that this crate records through the `metrics` facade.
//!
//! They are stable: dashboards and alerts are written against them.

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

/// All of them with their help texts.
pub const ALL: &[(&str, &str)] = &[
    (REQUESTS, "Requests answered, by route, method and status."),
    (
        REQUEST_SECONDS,
        "Seconds from the head of a request to its answer, by route.",
    ),
    (REQUESTS_IN_FLIGHT, "Requests that are being handled."),
    (CONNECTIONS, "Open connections."),
    (
        CONNECTIONS_CUT,
        "Connections that the server ended by itself, by reason.",
    ),
    (EVENT_STREAMS, "Event streams that are open."),
    (
        ACCEPT_PAUSES,
        "Times at which all connections were in use and no more were accepted.",
    ),
];

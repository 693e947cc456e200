//! The metrics of this crate, recorded through the `metrics` facade; whoever embeds it decides where they go.

use crate::metric::{Kind, Metric};

/// The most connections that the pool may have.
pub const POOL_MAX: &str = "studio_brain_postgres_pool_max";
/// Connections of the pool.
pub const POOL_SIZE: &str = "studio_brain_postgres_pool_size";
/// Connections of the pool that nobody uses.
pub const POOL_IDLE: &str = "studio_brain_postgres_pool_idle";
/// Callers that wait for a connection.
pub const POOL_WAITING: &str = "studio_brain_postgres_pool_waiting";
/// Time until a caller had its connection.
pub const POOL_WAIT_SECONDS: &str = "studio_brain_postgres_pool_wait_seconds";
/// Callers that got no connection, by `reason`.
pub const POOL_FAILURES: &str = "studio_brain_postgres_pool_failures_total";

/// Why a caller got no connection, as a label.
pub(crate) const TIMEOUT: &str = "timeout";
/// The other reason.
pub(crate) const REFUSED: &str = "refused";

/// All of them.
pub const ALL: &[Metric] = &[
    Metric::new(
        Kind::Gauge,
        (POOL_MAX, "connections"),
        &[],
        "The most connections that the PostgreSQL pool may have.",
    ),
    Metric::new(
        Kind::Gauge,
        (POOL_SIZE, "connections"),
        &[],
        "Connections of the PostgreSQL pool.",
    ),
    Metric::new(
        Kind::Gauge,
        (POOL_IDLE, "connections"),
        &[],
        "Connections of the PostgreSQL pool that nobody uses.",
    ),
    Metric::new(
        Kind::Gauge,
        (POOL_WAITING, "callers"),
        &[],
        "Callers that wait for a connection of the PostgreSQL pool.",
    ),
    Metric::new(
        Kind::Histogram,
        (POOL_WAIT_SECONDS, "seconds"),
        &[],
        "Time until a caller had its connection to PostgreSQL, made or free.",
    ),
    Metric::new(
        Kind::Counter,
        (POOL_FAILURES, "callers"),
        &["reason"],
        "Callers that got no connection to PostgreSQL: `timeout`, or `refused` when there was an answer or none could be reached.",
    ),
];

/// Begins the counters at zero, so that their first step is seen to be one. Call it after the recorder is installed.
pub fn begin() {
    for reason in [TIMEOUT, REFUSED] {
        metrics::counter!(POOL_FAILURES, "reason" => reason).increment(0);
    }
}

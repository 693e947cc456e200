//! The Prometheus recorder: installed once, here and nowhere else, for `brain serve`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use brain_connectivity::metric::{Kind, Metric};
use brain_swarm::metric_names;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::traces;

/// Upper bounds of durations, in seconds: from a commit on a fast disk to a time-out.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper bounds of counts, such as the events of a batch.
const COUNTS: [f64; 9] = [1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

/// Samples of histograms are kept one by one until they are counted into their buckets, this often.
const UPKEEP: Duration = Duration::from_secs(10);

/// Which version and replica this is.
const BUILD_INFO: &str = "studio_brain_build_info";

/// The metrics that are set here.
const OWN: &[Metric] = &[Metric::new(
    Kind::Gauge,
    (BUILD_INFO, "processes"),
    &["version", "replica"],
    "Always 1; the labels say which version and replica this is.",
)];

/// Renders every metric as Prometheus text.
pub(crate) type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// Installs the recorder of this process.
pub(crate) fn install(replica_id: &str) -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets(&COUNTS))
        .context("cannot set the buckets of the metrics")?
        .install_recorder()
        .context("cannot install the metrics recorder")?;
    describe();
    let labels = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("replica", replica_id.to_owned()),
    ];
    metrics::gauge!(BUILD_INFO, &labels).set(1.0);
    Ok(handle)
}

/// Says what the metrics mean and begins the counters whose steps matter. The HTTP interface describes its own metrics.
fn describe() {
    let below = brain_connectivity::metric_names::ALL.iter();
    for metric in below.chain(metric_names::ALL).chain(traces::METRICS).chain(OWN) {
        metric.describe();
    }
    brain_connectivity::metric_names::begin();
    metric_names::begin();
    traces::begin();
}

/// What renders the metrics.
pub(crate) fn render(handle: PrometheusHandle) -> Render {
    Arc::new(move || handle.render())
}

/// Counts samples into their buckets now and then, so that they do not pile up while nobody asks for metrics.
pub(crate) async fn keep_small(handle: PrometheusHandle) {
    let mut interval = tokio::time::interval(UPKEEP);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests;

//! Settings of the export of traces.

use url::Url;

use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// Export of traces over OTLP.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Whether traces are exported.
    pub enabled: bool,
    /// Where the collector listens; always there when export is enabled.
    pub endpoint: Option<Url>,
    /// Name of this service in the traces.
    pub service_name: String,
    /// Of a thousand new traces, how many are recorded.
    pub sample_ratio: u16,
}

impl Telemetry {
    pub(crate) fn blank() -> Self {
        Self {
            enabled: false,
            endpoint: None,
            service_name: String::new(),
            sample_ratio: 0,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Telemetry,
        "STUDIO_BRAIN_OTEL_ENABLED",
        "false",
        Valid::Flag,
        Access::Flag(|config| &mut config.telemetry.enabled),
        "Whether traces are exported; needs STUDIO_BRAIN_OTEL_ENDPOINT.",
    ),
    Definition::new(
        Section::Telemetry,
        "STUDIO_BRAIN_OTEL_ENDPOINT",
        "",
        Valid::HttpUrl,
        Access::OptionalUrl(|config| &mut config.telemetry.endpoint),
        "Where the OpenTelemetry collector takes OTLP over HTTP, such as http://127.0.0.1:4318; /v1/traces is added when the URL has no path.",
    ),
    Definition::new(
        Section::Telemetry,
        "STUDIO_BRAIN_OTEL_SERVICE_NAME",
        "studiobrain",
        Valid::Text { max: 128 },
        Access::Text(|config| &mut config.telemetry.service_name),
        "Name of this service in the traces.",
    ),
    Definition::new(
        Section::Telemetry,
        "STUDIO_BRAIN_OTEL_SAMPLE_RATIO",
        "1000",
        Valid::Number {
            min: 0,
            max: 1000,
            unit: "",
        },
        Access::U16(|config| &mut config.telemetry.sample_ratio),
        "How many of 1000 traces that begin here are recorded; a trace that a caller began is recorded when the caller says so.",
    ),
];

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
}

impl Telemetry {
    pub(crate) fn blank() -> Self {
        Self {
            enabled: false,
            endpoint: None,
            service_name: String::new(),
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
    )
    .not_effective_yet(),
    Definition::new(
        Section::Telemetry,
        "STUDIO_BRAIN_OTEL_ENDPOINT",
        "",
        Valid::HttpUrl,
        Access::OptionalUrl(|config| &mut config.telemetry.endpoint),
        "Where the OpenTelemetry collector listens, such as http://127.0.0.1:4318.",
    )
    .not_effective_yet(),
    Definition::new(
        Section::Telemetry,
        "STUDIO_BRAIN_OTEL_SERVICE_NAME",
        "studiobrain",
        Valid::Text { max: 128 },
        Access::Text(|config| &mut config.telemetry.service_name),
        "Name of this service in the traces.",
    )
    .not_effective_yet(),
];

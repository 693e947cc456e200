//! Settings of the artifact store.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// The S3-compatible store of artifacts.
#[derive(Debug, Clone)]
pub struct Artifacts {
    /// Where the S3 API answers.
    pub endpoint: Url,
    /// Bucket that holds the artifacts; created when it is missing.
    pub bucket: String,
    /// Region that requests are signed for.
    pub region: String,
    /// Identifier of the key pair.
    pub access_key: SecretString,
    /// Secret of the key pair.
    pub secret_key: SecretString,
    /// Whether the endpoint is reached over TLS; always in accord with its scheme.
    pub use_ssl: bool,
    /// Time that one request may take until its answer begins.
    pub timeout: Duration,
}

impl Artifacts {
    pub(crate) fn blank() -> Self {
        Self {
            endpoint: placeholder(),
            bucket: String::new(),
            region: String::new(),
            access_key: SecretString::default(),
            secret_key: SecretString::default(),
            use_ssl: false,
            timeout: Duration::ZERO,
        }
    }
}

/// The type has no empty value; the definition's default replaces this one before anybody sees it.
fn placeholder() -> Url {
    match Url::parse("http://localhost") {
        Ok(url) => url,
        Err(error) => unreachable!("a constant URL does not parse: {error}"),
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Artifacts,
        "STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT",
        "http://127.0.0.1:9010",
        Valid::HttpUrl,
        Access::Url(|config| &mut config.artifacts.endpoint),
        "Where the S3 API of the store answers.",
    ),
    Definition::new(
        Section::Artifacts,
        "STUDIO_BRAIN_ARTIFACT_STORE_BUCKET",
        "studiobrain-artifacts",
        Valid::Bucket,
        Access::Text(|config| &mut config.artifacts.bucket),
        "Bucket that holds the artifacts; created when it is missing.",
    ),
    Definition::new(
        Section::Artifacts,
        "STUDIO_BRAIN_ARTIFACT_STORE_REGION",
        "us-east-1",
        Valid::Text { max: 64 },
        Access::Text(|config| &mut config.artifacts.region),
        "Region that requests are signed for; MinIO takes the default.",
    ),
    Definition::new(
        Section::Artifacts,
        "STUDIO_BRAIN_ARTIFACT_STORE_ACCESS_KEY",
        "minioadmin",
        Valid::Token,
        Access::Secret(|config| &mut config.artifacts.access_key),
        "Identifier of the key pair.",
    ),
    Definition::new(
        Section::Artifacts,
        "STUDIO_BRAIN_ARTIFACT_STORE_SECRET_KEY",
        "minioadmin",
        Valid::Password { empty: false },
        Access::Secret(|config| &mut config.artifacts.secret_key),
        "Secret of the key pair.",
    ),
    Definition::new(
        Section::Artifacts,
        "STUDIO_BRAIN_ARTIFACT_STORE_USE_SSL",
        "false",
        Valid::Flag,
        Access::Flag(|config| &mut config.artifacts.use_ssl),
        "Whether the store is reached over TLS; follows the endpoint's scheme when it is not set.",
    ),
    Definition::new(
        Section::Artifacts,
        "STUDIO_BRAIN_ARTIFACT_STORE_TIMEOUT_MS",
        "5000",
        Valid::Number {
            min: 500,
            max: 120_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.artifacts.timeout),
        "Time that one request may take until its answer begins.",
    ),
];

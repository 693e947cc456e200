//! Settings of the HTTP server.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;

use crate::Oidc;
use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// Where and how the HTTP server listens.
#[derive(Debug, Clone)]
pub struct Server {
    /// Host name or address to listen on; an IPv6 address is without brackets.
    pub host: String,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Web origins that browsers may call from, each as `scheme://host[:port]`.
    pub allowed_origins: Vec<String>,
    /// Token of the administrator.
    pub admin_token: Option<SecretString>,
    /// Whether callers need a credential although no token of an administrator is set.
    pub auth_required: bool,
    /// Requests a second of the holder of a token whose token does not say; 0 for no limit.
    pub token_requests_per_second: u32,
    /// Event streams at the same time of the holder of a token whose token does not say; 0 for no limit.
    pub token_streams: u32,
    /// Issuers whose tokens let callers in.
    pub oidc: Oidc,
    /// Connections served at the same time; more wait in the listen queue.
    pub max_connections: usize,
    /// Time in which all headers of a request must have arrived.
    pub header_timeout: Duration,
    /// Largest body of a request, in bytes.
    pub body_limit: usize,
    /// Time in which the whole body of a request must have arrived.
    pub body_timeout: Duration,
    /// Time in which a request must be answered.
    pub request_timeout: Duration,
    /// Time that running requests get to finish when the process is asked to stop.
    pub drain_timeout: Duration,
}

impl Server {
    /// Whether only this machine can reach the server.
    ///
    /// True for loopback addresses and for `localhost`; any other name could resolve to anything.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => bare.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
        }
    }

    /// Whether every caller needs a credential. Otherwise those of this machine need none, and others are not served.
    #[must_use]
    pub fn needs_credentials(&self) -> bool {
        self.auth_required || self.admin_token.is_some() || !self.oidc.issuers.is_empty()
    }

    pub(crate) fn blank() -> Self {
        Self {
            host: String::new(),
            port: 0,
            allowed_origins: Vec::new(),
            admin_token: None,
            auth_required: false,
            token_requests_per_second: 0,
            token_streams: 0,
            oidc: Oidc::blank(),
            max_connections: 0,
            header_timeout: Duration::ZERO,
            body_limit: 0,
            body_timeout: Duration::ZERO,
            request_timeout: Duration::ZERO,
            drain_timeout: Duration::ZERO,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_HOST",
        "127.0.0.1",
        Valid::Host,
        Access::Text(|config| &mut config.server.host),
        "Address to listen on; anything but loopback needs STUDIO_BRAIN_ADMIN_TOKEN, STUDIO_BRAIN_AUTH_REQUIRED or STUDIO_BRAIN_OIDC_ISSUERS.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_PORT",
        "8787",
        Valid::Number {
            min: 0,
            max: 65_535,
            unit: "",
        },
        Access::U16(|config| &mut config.server.port),
        "Port to listen on; 0 takes any free port.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_ALLOWED_ORIGINS",
        "http://127.0.0.1:5173,http://localhost:5173",
        Valid::Origins,
        Access::List(|config| &mut config.server.allowed_origins),
        "Web origins whose pages may call the API from a browser; empty allows none.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_ADMIN_TOKEN",
        "",
        Valid::Token,
        Access::OptionalSecret(|config| &mut config.server.admin_token),
        "Token of the administrator, who may do everything; once it is set every caller needs a token.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_AUTH_REQUIRED",
        "false",
        Valid::Flag,
        Access::Flag(|config| &mut config.server.auth_required),
        "Whether every caller needs a token also without STUDIO_BRAIN_ADMIN_TOKEN; `brain token create --database` makes the first.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_TOKEN_REQUESTS_PER_SECOND",
        "1000",
        Valid::Number {
            min: 0,
            max: 1_000_000,
            unit: "requests a second",
        },
        Access::U32(|config| &mut config.server.token_requests_per_second),
        "What the holder of a token may ask for, unless the token says otherwise; 0 for no limit.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_TOKEN_STREAMS",
        "256",
        Valid::Number {
            min: 0,
            max: 1_000_000,
            unit: "streams",
        },
        Access::U32(|config| &mut config.server.token_streams),
        "Event streams that the holder of a token may have open, unless the token says otherwise; 0 for no limit.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_HTTP_MAX_CONNECTIONS",
        "4096",
        Valid::Number {
            min: 1,
            max: 1_000_000,
            unit: "connections",
        },
        Access::Usize(|config| &mut config.server.max_connections),
        "Connections that are served at the same time.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_HTTP_HEADER_TIMEOUT_MS",
        "10000",
        Valid::Number {
            min: 100,
            max: 120_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.server.header_timeout),
        "Time in which all headers of a request must have arrived.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_HTTP_MAX_BODY_BYTES",
        "4194304",
        Valid::Number {
            min: 1_024,
            max: 1_073_741_824,
            unit: "bytes",
        },
        Access::Usize(|config| &mut config.server.body_limit),
        "Largest body of a request.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_HTTP_BODY_TIMEOUT_MS",
        "30000",
        Valid::Number {
            min: 100,
            max: 600_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.server.body_timeout),
        "Time in which the whole body of a request must have arrived.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_HTTP_REQUEST_TIMEOUT_MS",
        "30000",
        Valid::Number {
            min: 100,
            max: 600_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.server.request_timeout),
        "Time in which a request must be answered.",
    ),
    Definition::new(
        Section::Server,
        "STUDIO_BRAIN_SHUTDOWN_TIMEOUT_MS",
        "15000",
        Valid::Number {
            min: 100,
            max: 600_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.server.drain_timeout),
        "Time that running work gets to finish when the process is asked to stop.",
    ),
];

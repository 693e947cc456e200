//! What the proxy decided about one connection, for the log.
//!
//! Invariants: there is one decision for each request that was made, and for each connection that was cut before one;
//! no text of it has more of a request than its host, shortened and escaped.

use std::{fmt, net::IpAddr, sync::Arc};

use super::client_hello;

/// Where decisions go. It must not block.
pub type Sink = Arc<dyn Fn(Decision) + Send + Sync>;

/// What was decided about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Host and port that were asked for; empty where the request could not be read.
    pub target: String,
    /// The address that was dialled.
    pub address: Option<IpAddr>,
    /// Why it was refused; nothing where it was let through.
    pub refused: Option<Refusal>,
}

impl Decision {
    /// Whether it was let through.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.refused.is_none()
    }
}

/// Why a request got nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is not a request that this proxy understands.
    Malformed(&'static str),
    /// It did not come in time.
    Slow,
    /// Its host is no exact name or address.
    Host,
    /// Its host and port are not on the list.
    NotListed,
    /// The name has no address, or the lookup failed or took too long.
    Unresolved,
    /// The host leads to an address that is not public.
    NotPublic(IpAddr),
    /// Nothing answered at the address.
    Unreachable,
    /// What followed is not TLS for that host.
    Tls(client_hello::Error),
    /// The name in the TLS handshake is another.
    ServerName(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "the request is malformed: {what}"),
            Self::Slow => f.write_str("the request took too long"),
            Self::Host => f.write_str("the host is not an exact name or address"),
            Self::NotListed => f.write_str("host and port are not on the list of the skill"),
            Self::Unresolved => f.write_str("the host has no address"),
            Self::NotPublic(address) => write!(f, "the host leads to {address}, which is not public"),
            Self::Unreachable => f.write_str("the host does not answer"),
            Self::Tls(error) => write!(f, "what follows CONNECT must be TLS: {error}"),
            Self::ServerName(name) => write!(f, "the TLS handshake names {name:?}, not the host of CONNECT"),
        }
    }
}

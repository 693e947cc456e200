//! Where a webhook may be: the guard between what somebody wrote into a definition and the network.
//!
//! Invariants: an address that is not public is reached only where the installation allows it; one such address among those of a
//! name refuses the name; what was judged is what is dialled, and a name is looked up once for each request.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use brain_config::{IpNet, address::is_public};
use hyper::{Uri, header::HeaderValue};
use rustls::pki_types::ServerName;
use url::{Position, Url};

/// Longest URL, in bytes.
pub const MOST_URL_BYTES: usize = 2048;

/// Most addresses of a name that are looked at; a name with more is refused.
pub const MOST_ADDRESSES: usize = 64;

/// Why a webhook must not be reached. No text of it has more of the URL than host and port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no URL, or none of a kind that is sent to.
    #[error("a webhook needs an http:// or https:// URL of at most {MOST_URL_BYTES} bytes")]
    NotUrl,
    /// It has a user name or a password.
    #[error("the URL of a webhook must have no user name and no password; requests are signed")]
    Credentials,
    /// It has a part that is never sent.
    #[error("the URL of a webhook must have no fragment")]
    Fragment,
    /// No connection can go to port 0.
    #[error("the URL of a webhook must not have port 0")]
    Port,
    /// The name has more addresses than anybody would look at.
    #[error("{0} has more than {MOST_ADDRESSES} addresses")]
    TooMany(String),
    /// An address of it is not public, and not allowed.
    #[error("{host} leads to {address}, which is not public; STUDIO_BRAIN_WEBHOOK_ALLOWED_ADDRESSES may allow it")]
    NotPublic {
        /// Host and port as in the URL.
        host: String,
        /// What was found.
        address: IpAddr,
    },
    /// It is not encrypted, and not allowed.
    #[error(
        "{host} is to be reached over http://, which only addresses in STUDIO_BRAIN_WEBHOOK_ALLOWED_ADDRESSES may be; use https://"
    )]
    Plain {
        /// Host and port as in the URL.
        host: String,
    },
}

/// The addresses that may be reached although they are not public, also without TLS.
#[derive(Debug, Clone, Default)]
pub struct Allowed(Vec<IpNet>);

impl Allowed {
    /// Those in these networks.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The URL of a webhook, taken apart once.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    host: Host,
    port: u16,
    encrypted: bool,
    /// Path and query.
    path: Uri,
    /// Host, and port where it is not that of the scheme.
    authority: HeaderValue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`Refused`], of which only what the text alone shows: where a name leads is found when something is sent.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let url: Url = text
            .parse()
            .ok()
            .filter(|_| text.len() <= MOST_URL_BYTES)
            .ok_or(Refused::NotUrl)?;
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(Refused::NotUrl),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        if url.fragment().is_some() {
            return Err(Refused::Fragment);
        }
        let text = url.host_str().ok_or(Refused::NotUrl)?;
        let port = url.port_or_known_default().ok_or(Refused::NotUrl)?;
        if port == 0 {
            return Err(Refused::Port);
        }
        // The parser has already read numbers of every spelling as the addresses that they are.
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let host = match bare.parse::<IpAddr>() {
            Ok(address) => Host::Address(address.to_canonical()),
            Err(_) => Host::Name(text.to_owned()),
        };
        let path = &url[Position::BeforePath..];
        Ok(Self {
            host,
            port,
            encrypted,
            path: path.parse().map_err(|_| Refused::NotUrl)?,
            authority: HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort])
                .map_err(|_| Refused::NotUrl)?,
        })
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Path and query, as a request names them.
    pub(super) fn path(&self) -> &Uri {
        &self.path
    }

    /// What stands in the header `host`.
    pub(super) fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// The name that the certificate must have; nothing where no certificate can have it.
    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        match &self.host {
            Host::Name(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
            Host::Address(address) => Some(ServerName::IpAddress((*address).into())),
        }
    }

    /// Every address of it. A name is asked for, an address is its own.
    ///
    /// # Errors
    /// What kept the name from being looked up.
    pub(super) async fn resolve(&self, limit: Duration) -> io::Result<Vec<IpAddr>> {
        let name = match &self.host {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        let lookup = tokio::net::lookup_host((name.as_str(), self.port));
        let found = tokio::time::timeout(limit, lookup).await??;
        Ok(found.take(MOST_ADDRESSES + 1).map(|found| found.ip()).collect())
    }

    /// The addresses to dial, of those that were found: all of them, or none.
    ///
    /// # Errors
    /// [`Refused`] names the first that must not be reached.
    pub fn judge(&self, found: &[IpAddr], allowed: &Allowed) -> Result<Vec<SocketAddr>, Refused> {
        if found.len() > MOST_ADDRESSES {
            return Err(Refused::TooMany(self.to_string()));
        }
        let mut judged = Vec::with_capacity(found.len());
        for address in found.iter().map(IpAddr::to_canonical) {
            let allowed = allowed.contains(address);
            if !allowed && !is_public(address) {
                let host = self.to_string();
                return Err(Refused::NotPublic { host, address });
            }
            if !allowed && !self.encrypted {
                return Err(Refused::Plain { host: self.to_string() });
            }
            judged.push(SocketAddr::new(address, self.port));
        }
        Ok(judged)
    }
}

/// Host and port, which is all of a URL that an error or a log may have.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
#[path = "address/tests.rs"]
mod tests;

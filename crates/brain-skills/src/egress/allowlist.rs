//! The hosts that a program may reach, as exact names or addresses with a port.
//!
//! Invariants: an [`Endpoint`] has one spelling; a name cannot be read as an address, has no trailing dot and is lower-case
//! ASCII; there are no wildcards, so that a list says all that it means.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// Most hosts on one list.
pub const MAX_ENTRIES: usize = 64;

/// The port of an entry that names none.
pub const DEFAULT_PORT: u16 = 443;

/// The longest name of a host, in bytes.
const MAX_NAME_BYTES: usize = 253;

/// Why a text names no host to reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no name and no address.
    #[error(
        "{0:?} is not a host; write a lower-case name such as api.example.com (IDNs as xn--…), or an address in its \
         usual form, without a trailing dot, wildcard, scheme or path"
    )]
    Host(String),
    /// What follows the colon is not a port.
    #[error("{0:?} has no valid port; write host:port with a port of 1 to 65535, or leave it out for 443")]
    Port(String),
    /// There are more than anybody would review.
    #[error("{0} hosts are too many for one list, at most {MAX_ENTRIES} are allowed")]
    TooMany(usize),
}

/// A host: its name, or its address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name of lower-case ASCII that is not the spelling of an address.
    Name(String),
    /// An address, which was written in its usual form.
    Address(IpAddr),
}

impl Host {
    /// Reads a host; brackets belong around an IPv6 address.
    fn read(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']')?;
            let address: Ipv6Addr = inner.parse().ok()?;
            // Other spellings, and IPv4 in disguise, are refused rather than understood.
            let usual = address.to_string() == inner && address.to_ipv4_mapped().is_none();
            return usual.then_some(Self::Address(address.into()));
        }
        if let Ok(IpAddr::V4(address)) = text.parse() {
            return (address.to_string() == text).then_some(Self::Address(address.into()));
        }
        is_name(text).then(|| Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    host: Host,
    port: u16,
}

impl Endpoint {
    /// Reads a host and a port, with this port where the text has none.
    ///
    /// # Errors
    /// [`Error::Host`] or [`Error::Port`].
    pub fn parse(text: &str, default_port: u16) -> Result<Self, Error> {
        let shown = || text.chars().take(MAX_NAME_BYTES).collect::<String>();
        let after_host = if text.starts_with('[') {
            text.find(']').map_or(text.len(), |at| at + 1)
        } else {
            text.find(':').unwrap_or(text.len())
        };
        let (host, port) = text.split_at(after_host);
        let host = Host::read(host).ok_or_else(|| Error::Host(shown()))?;
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => default_port,
            Some(digits) => read_port(digits).ok_or_else(|| Error::Port(shown()))?,
            None => return Err(Error::Port(shown())),
        };
        Ok(Self { host, port })
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        if self.port == DEFAULT_PORT {
            return Ok(());
        }
        write!(f, ":{}", self.port)
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text, DEFAULT_PORT)
    }
}

impl TryFrom<String> for Endpoint {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

/// Hosts that a program may reach, as exact names and ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<Endpoint>", into = "BTreeSet<Endpoint>")]
pub struct Allowlist(BTreeSet<Endpoint>);

impl Allowlist {
    /// The list of these entries, each `host` or `host:port`.
    ///
    /// # Errors
    /// [`Error`] for the first entry that is none.
    pub fn parse<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let entries = entries.into_iter().map(|entry| entry.as_ref().parse());
        entries.collect::<Result<BTreeSet<_>, _>>()?.try_into()
    }

    /// Whether nothing may be reached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this may be reached: its host and its port are on the list as they are.
    #[must_use]
    pub fn allows(&self, endpoint: &Endpoint) -> bool {
        self.0.contains(endpoint)
    }

    /// What may be reached, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.0.iter()
    }
}

impl TryFrom<BTreeSet<Endpoint>> for Allowlist {
    type Error = Error;

    fn try_from(entries: BTreeSet<Endpoint>) -> Result<Self, Error> {
        if entries.len() > MAX_ENTRIES {
            return Err(Error::TooMany(entries.len()));
        }
        Ok(Self(entries))
    }
}

impl From<Allowlist> for BTreeSet<Endpoint> {
    fn from(list: Allowlist) -> Self {
        list.0
    }
}

/// Labels of letters, digits and inner hyphens. The last must not begin with a digit: what ends in a number is read as
/// an address by one parser or another (`0x7f.1`, `017700000001`), and no top-level domain does.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && bytes[0] != b'-'
            && bytes[bytes.len() - 1] != b'-'
    };
    text.len() <= MAX_NAME_BYTES
        && text.split('.').all(label)
        && text
            .rsplit('.')
            .next()
            .is_some_and(|last| !last.starts_with(|first: char| first.is_ascii_digit()))
}

fn read_port(digits: &str) -> Option<u16> {
    let port: u16 = digits.parse().ok()?;
    (port != 0 && port.to_string() == digits).then_some(port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_have_one_spelling() {
        for text in [
            "api.example.com",
            "api.example.com:80",
            "localhost:8080",
            "xn--bcher-kva.example",
            "93.184.215.14",
            "93.184.215.14:80",
            "[2606:2800:21f::1]:80",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        let default: Endpoint = "a.example:443".parse().unwrap();
        assert_eq!(default, "a.example".parse().unwrap());
    }

    #[test]
    fn what_could_mean_something_else_is_no_host() {
        for text in [
            "",
            "API.example.com",
            "a.example.",
            ".a.example",
            "a..example",
            "*.example",
            "a_b.example",
            "bücher.example",
            "a.example\0.evil.example",
            "user@a.example",
            "https://a.example",
            "a.example/path",
            "a example",
            "-a.example",
            "a-.example",
            // Addresses that other parsers understand.
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "127.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "127.0.0.01",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "[fe80::1%eth0]",
            "[::1",
            "::1",
            "2606:2800::1",
            &"a".repeat(64),
            &["a"; 128].join("."),
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
        for port in ["", "0", "00443", "+443", "65536", "80:80", " 80", "http"] {
            let text = format!("a.example:{port}");
            assert!(matches!(text.parse::<Endpoint>(), Err(Error::Port(_))), "{text:?}");
        }
    }

    #[test]
    fn a_list_allows_what_is_on_it_and_nothing_like_it() {
        let list = Allowlist::parse(["api.example.com", "plain.example.com:80"]).unwrap();
        let allows = |text: &str| list.allows(&text.parse().unwrap());
        assert!(allows("api.example.com") && allows("plain.example.com:80"));
        for other in [
            "api.example.com:80",
            "plain.example.com",
            "example.com",
            "x.api.example.com",
            "evilapi.example.com",
            "api.example.com.evil.example",
        ] {
            assert!(!allows(other), "{other}");
        }
        assert!(Allowlist::default().is_empty() && !list.is_empty());
        let json = serde_json::to_string(&list).unwrap();
        assert_eq!(json, r#"["api.example.com","plain.example.com:80"]"#);
        assert_eq!(serde_json::from_str::<Allowlist>(&json).unwrap(), list);
    }

    #[test]
    fn a_list_has_an_end() {
        let entries = |count: usize| (0..count).map(|n| format!("h{n}.example")).collect::<Vec<_>>();
        assert!(Allowlist::parse(entries(MAX_ENTRIES)).is_ok());
        assert_eq!(Allowlist::parse(entries(MAX_ENTRIES + 1)), Err(Error::TooMany(65)));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_is_its_own_spelling(text in "\\PC{0,60}|[a-z0-9.:\\[\\]x-]{0,40}|[0-9.]{1,16}(:[0-9]{1,6})?") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                let shown = endpoint.to_string();
                prop_assert!(text == shown || text == format!("{shown}:443"), "{} {}", text, shown);
            }
        }
    }
}

//! What a variable accepts: one rule that both checks a text and describes itself.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use url::{Host, Url};

use crate::webhooks::{self, LEAST_SECRET_BYTES, MOST_SECRET_TEXT};

/// The rule for one variable. Its `Display` completes the sentence "must be …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Valid {
    /// true or false, in any of the usual spellings.
    Flag,
    /// A whole number within inclusive bounds, counted in `unit` (empty for a plain number).
    Number {
        /// Smallest valid value.
        min: u64,
        /// Largest valid value.
        max: u64,
        /// What is counted: `milliseconds`, `bytes`, `days`, or nothing.
        unit: &'static str,
    },
    /// One of these words, in upper or lower case.
    Choice(&'static [&'static str]),
    /// A host name or an IP address, without scheme or port.
    Host,
    /// The same, or the absolute path of a directory that holds a Unix socket.
    HostOrSocketDirectory,
    /// Text of at most this many bytes, without control characters.
    Text {
        /// Longest valid text in bytes.
        max: usize,
    },
    /// A secret of any text without NUL; `empty` says whether it may be empty.
    Password {
        /// Whether an empty text is a value of its own.
        empty: bool,
    },
    /// A secret of visible ASCII characters, because it travels in an HTTP header.
    Token,
    /// A secret that requests are signed with.
    SigningSecret,
    /// An `http` or `https` URL without user name, password, query and fragment.
    HttpUrl,
    /// A path of the file system.
    Path,
    /// The name of an S3 bucket.
    Bucket,
    /// `$` or the id of a stream entry.
    StreamId,
    /// A comma-separated list of web origins.
    Origins,
    /// A comma-separated list of URLs of token issuers, encrypted unless they are on this machine.
    Issuers,
    /// A comma-separated list of `value=role`.
    RoleMap,
    /// A comma-separated list of host names and addresses.
    Hosts,
    /// A comma-separated list of addresses and networks.
    Networks,
    /// A comma-separated list of skills, as `name` or `name@version`.
    SkillReferences,
    /// A comma-separated list of command names.
    Commands,
}

impl fmt::Display for Valid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Flag => f.write_str("true or false (also 1/0, yes/no, on/off)"),
            Self::Number { min, max, unit: "" } => write!(f, "a whole number from {min} to {max}"),
            Self::Number { min, max, unit } => write!(f, "{min} to {max} {unit}"),
            Self::Choice([only]) => write!(f, "{only}, the only choice so far"),
            Self::Choice(choices) => write!(f, "one of {}", choices.join(", ")),
            Self::Host => f.write_str("a host name or IP address, without scheme or port"),
            Self::HostOrSocketDirectory => f.write_str(
                "a host name or IP address, without scheme or port, or the absolute directory of a Unix socket",
            ),
            Self::Text { max } => write!(f, "1 to {max} bytes of text without control characters"),
            Self::Password { empty: true } => f.write_str("any text without NUL, or empty where none is needed"),
            Self::Password { empty: false } => f.write_str("at least one character, without NUL"),
            Self::Token => f.write_str("visible ASCII characters without spaces"),
            Self::SigningSecret => write!(
                f,
                "whsec_ and the base64 of at least {LEAST_SECRET_BYTES} bytes, or {LEAST_SECRET_BYTES} to {MOST_SECRET_TEXT} bytes of text"
            ),
            Self::HttpUrl => f.write_str("an http:// or https:// URL without user name, password, query or fragment"),
            Self::Path => f.write_str("a path"),
            Self::Bucket => f.write_str(
                "3 to 63 lower-case letters, digits, dots and hyphens that begin and end with a letter or digit",
            ),
            Self::StreamId => {
                f.write_str("$ (new entries only), 0-0 (from the beginning) or a stream id such as 1712345678901-0")
            }
            Self::Origins => f.write_str(
                "a comma-separated list of origins such as https://app.example.org, without path or wildcard",
            ),
            Self::Issuers => f.write_str(
                "a comma-separated list of https:// URLs (http:// on this machine) without user name, query or fragment",
            ),
            Self::RoleMap => f.write_str(
                "a comma-separated list of value=role, where a role is viewer, agent, operator or admin",
            ),
            Self::Hosts => f.write_str(
                "a comma-separated list of host names such as api.example.org or api.example.org:8443, with * for any characters",
            ),
            Self::Networks => {
                f.write_str("a comma-separated list of IP addresses and networks such as 127.0.0.1 or 10.0.0.0/8")
            }
            Self::SkillReferences => f.write_str("a comma-separated list of name or name@version"),
            Self::Commands => f.write_str("a comma-separated list of command names without spaces"),
        }
    }
}

/// A text that passed its rule, in the form in which the tree stores it.
#[derive(Clone)]
pub(crate) enum Value {
    Absent,
    Flag(bool),
    Number(u64),
    Text(String),
    Url(Url),
    List(Vec<String>),
}

impl Valid {
    /// The value of the text, or nothing when it breaks the rule.
    pub(crate) fn check(&self, text: &str) -> Option<Value> {
        let trimmed = text.trim();
        match *self {
            Self::Flag => flag(trimmed).map(Value::Flag),
            Self::Number { min, max, .. } => {
                let number = trimmed.parse().ok()?;
                (min..=max).contains(&number).then_some(Value::Number(number))
            }
            Self::Choice(choices) => {
                let choice = choices.iter().find(|choice| choice.eq_ignore_ascii_case(trimmed))?;
                Some(Value::Text((*choice).to_owned()))
            }
            Self::Host => host(trimmed).map(Value::Text),
            Self::HostOrSocketDirectory if trimmed.starts_with('/') => path(trimmed),
            Self::HostOrSocketDirectory => host(trimmed).map(Value::Text),
            Self::Text { max } => {
                let plain = !trimmed.is_empty() && !trimmed.contains(char::is_control);
                (plain && trimmed.len() <= max).then(|| Value::Text(trimmed.to_owned()))
            }
            // Spaces around a secret may belong to it.
            Self::Password { empty } => {
                (!text.contains('\0') && (empty || !text.is_empty())).then(|| Value::Text(text.to_owned()))
            }
            Self::Token => {
                let visible = !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_graphic());
                visible.then(|| Value::Text(trimmed.to_owned()))
            }
            Self::SigningSecret => webhooks::signing_key(trimmed).map(|_| Value::Text(trimmed.to_owned())),
            Self::HttpUrl => http_url(trimmed).map(Value::Url),
            Self::Path => path(trimmed),
            Self::Bucket => is_bucket(trimmed).then(|| Value::Text(trimmed.to_owned())),
            // The type of the field has the parser.
            Self::StreamId | Self::Networks => Some(Value::Text(trimmed.to_owned())),
            Self::Origins => list(trimmed, origin),
            Self::Issuers => list(trimmed, issuer),
            Self::RoleMap => list(trimmed, role_pair),
            Self::Hosts => list(trimmed, egress_host),
            Self::SkillReferences => list(trimmed, skill_reference),
            Self::Commands => list(trimmed, |item| is_word(item).then(|| item.to_owned())),
        }
    }
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// An IPv6 address loses its brackets, so that the value can be handed to a resolver as it is.
fn host(text: &str) -> Option<String> {
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = unbracketed {
        return address.parse::<Ipv6Addr>().ok().map(|address| address.to_string());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    // An underscore is no part of a host name, but containers are often called so.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let named = text.len() <= 253 && text.chars().all(plain) && text.trim_end_matches('.').split('.').all(is_label);
    // The parser also reads numbers as addresses (`127.1`); such a spelling is refused as ambiguous.
    let domain = matches!(Host::parse(text), Ok(Host::Domain(_)));
    (named && domain).then(|| text.to_owned())
}

/// A pattern of the hosts that skills ask for: a name as it is written in their manifests, with a port where that has one.
fn egress_host(text: &str) -> Option<String> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let number = |port: &str| {
        port == "*"
            || port
                .parse::<u16>()
                .is_ok_and(|number| number > 0 && number.to_string() == port)
    };
    // A star stands for any letters, so what is left must be a name with some letter in its place.
    let named = name.parse::<IpAddr>().is_err() && host(&name.replace('*', "a")).is_some();
    let written_so = !name.ends_with('.') && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    (named && written_so && port.is_none_or(number)).then(|| text.to_owned())
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

fn http_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

fn origin(text: &str) -> Option<String> {
    http_url(text)
        .filter(|url| url.path() == "/")
        .map(|url| url.origin().ascii_serialization())
}

/// As it is written: tokens name their issuer byte for byte.
fn issuer(text: &str) -> Option<String> {
    let url = http_url(text)?;
    let here = match url.host()? {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    (url.scheme() == "https" || here).then(|| text.to_owned())
}

fn role_pair(text: &str) -> Option<String> {
    let (value, role) = text.rsplit_once('=')?;
    let known = matches!(role.trim(), "viewer" | "agent" | "operator" | "admin");
    (known && !value.trim().is_empty()).then(|| format!("{}={}", value.trim(), role.trim()))
}

fn path(text: &str) -> Option<Value> {
    (!text.is_empty() && !text.contains(char::is_control)).then(|| Value::Text(text.to_owned()))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn is_bucket(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    (3..=63).contains(&text.len())
        && text.bytes().all(inner)
        && edge(text.bytes().next())
        && edge(text.bytes().next_back())
        && !text.contains("..")
        && text.parse::<IpAddr>().is_err()
}

fn skill_reference(text: &str) -> Option<String> {
    let (name, version) = text.split_once('@').unwrap_or((text, "any"));
    (is_word(name) && is_word(version) && !version.contains('@')).then(|| text.to_owned())
}

/// An empty text is the empty list; an empty item between commas is taken for a slip and skipped.
fn list(text: &str, item: impl Fn(&str) -> Option<String>) -> Option<Value> {
    let items = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    items.map(item).collect::<Option<Vec<_>>>().map(Value::List)
}

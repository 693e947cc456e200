//! The Host header: which server the caller believes to talk to.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::{Version, header};

use super::Head;
use crate::problem::{Kind, Problem};

/// The authority of a request: from the request target of HTTP/2, else from the Host header.
///
/// # Errors
/// A problem when there are several, or none where HTTP demands one.
pub(super) fn of<'a>(head: &Head<'a>) -> Result<Option<&'a str>, Problem> {
    let refuse = |detail: &'static str| Problem::new(Kind::MalformedRequest, detail);
    let mut given = head.headers.get_all(header::HOST).iter();
    let host = match (given.next(), given.next()) {
        (Some(host), None) => Some(host.to_str().map_err(|_| refuse("the Host header is not plain text"))?),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(refuse("there is more than one Host header")),
    };
    let target = head.uri.authority().map(axum::http::uri::Authority::as_str);
    match target.or(host) {
        None if head.version >= Version::HTTP_11 => Err(refuse("the Host header is missing")),
        authority => Ok(authority),
    }
}

/// Refuses a request that was meant for another machine.
///
/// A page on any site can make a browser ask a name that it points at 127.0.0.1; the browser then sends that name.
///
/// # Errors
/// A problem when one of the names in the request does not mean this machine.
pub(super) fn must_be_local(head: &Head<'_>, authority: Option<&str>) -> Result<(), Problem> {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if authority.into_iter().chain(host).all(is_local) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::ForbiddenHost,
        "while no credential is configured this server answers only to 127.0.0.1, [::1] and localhost in the Host header",
    ))
}

/// Whether `host[:port]` means this machine for certain.
fn is_local(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => {
                let local = host
                    .parse::<Ipv6Addr>()
                    .is_ok_and(|address| address.to_canonical().is_loopback());
                return local && is_port(port);
            }
            None => return false,
        },
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let local =
        host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    local && is_port(port)
}

/// Nothing, or a colon and a number.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for local in [
            "127.0.0.1",
            "127.0.0.1:8787",
            "127.9.9.9",
            "localhost",
            "LocalHost:1",
            "[::1]",
            "[::1]:8787",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_local(local), "{local}");
        }
        let foreign = [
            "",
            "evil.example",
            "evil.example:8787",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "foo.localhost",
            "0.0.0.0",
            "10.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "::1",
            "[::1",
            "[::1]x",
            "[::2]",
            "127.0.0.1:",
            "127.0.0.1:80:80",
            "127.0.0.1:99999",
            "user@127.0.0.1",
            "127.0.0.1@evil.example",
            " 127.0.0.1",
            "127.0.0.1:8787 ",
        ];
        for foreign in foreign {
            assert!(!is_local(foreign), "{foreign}");
        }
    }
}

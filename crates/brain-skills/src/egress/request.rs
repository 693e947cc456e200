//! The head of a request to the proxy, read once and strictly.
//!
//! Invariants: a request that two readers could understand in two ways is refused; what goes on to a server is written anew
//! from what was understood, never copied.

use super::allowlist::Endpoint;

/// Most bytes of a head.
pub const MAX_BYTES: usize = 16 << 10;

/// Most header fields of a request.
const MAX_FIELDS: usize = 100;

/// Largest body of a request.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A connection to this host, for TLS.
    Connect(Endpoint),
    /// One exchange over plain HTTP.
    Plain {
        /// Where to.
        endpoint: Endpoint,
        /// The head that the server gets.
        head: Vec<u8>,
        /// How many bytes of body follow.
        body_bytes: u64,
    },
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Its form is wrong.
    Malformed(&'static str),
    /// The host in it is no exact name or address; this is how it was written.
    Host(String),
}

/// Fields that are meant for the next hop alone, or would make the connection into another.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "host",
];

/// How long the head at the start of these bytes is, with the empty line that ends it.
#[must_use]
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// Reads a head, whole as [`head_length`] found it.
///
/// # Errors
/// [`Error`].
pub fn parse(head: &[u8]) -> Result<Request, Error> {
    use Error::Malformed;
    // Header values may have other bytes by the letter of the protocol; nothing that is used has.
    let head = str::from_utf8(head).map_err(|_| Malformed("it is not UTF-8"))?;
    let head = head.strip_suffix("\r\n\r\n").ok_or(Malformed("it has no end"))?;
    if head.bytes().any(|byte| byte == 0 || byte == 0x7f) {
        return Err(Malformed("it has a control character"));
    }
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed("its first line is not \"METHOD target HTTP/1.1\""));
    };
    if !is_token(method) || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Malformed("its first line has other characters than it may"));
    }
    let fields = fields(lines)?;
    if method == "CONNECT" {
        // Without a port it would be open which one is meant.
        if !has_port(target) {
            return Err(Malformed("CONNECT needs host:port"));
        }
        return Ok(Request::Connect(endpoint(target, 443)?));
    }
    plain(method, target, &fields)
}

fn plain(method: &str, target: &str, fields: &[(&str, &str)]) -> Result<Request, Error> {
    use Error::Malformed;
    if !matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") {
        return Err(Malformed("its method is not one that is passed on"));
    }
    let rest = target
        .strip_prefix("http://")
        .ok_or(Malformed("only http:// URLs and CONNECT go through this proxy"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains('#') {
        return Err(Malformed("a URL in a request has no fragment"));
    }
    let endpoint = endpoint(authority, 80)?;
    let mut body_bytes = None;
    let mut kept = Vec::new();
    for &(name, value) in fields {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "transfer-encoding" => return Err(Malformed("it must say the length of its body in Content-Length")),
            "content-length" => {
                let length = (body_bytes.is_none() && value.bytes().all(|byte| byte.is_ascii_digit()))
                    .then(|| value.parse::<u64>().ok().filter(|length| *length <= MAX_BODY_BYTES));
                body_bytes = Some(
                    length
                        .flatten()
                        .ok_or(Malformed("its Content-Length is wrong or too large"))?,
                );
            }
            "expect" => return Err(Malformed("Expect is not supported")),
            _ if HOP_BY_HOP.contains(&lower.as_str()) => {}
            _ => kept.push((name, value)),
        }
    }
    let authority = if endpoint.port() == 80 {
        endpoint.host().to_string()
    } else {
        format!("{}:{}", endpoint.host(), endpoint.port())
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut head = format!("{method} {slash}{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n");
    for (name, value) in kept {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if let Some(length) = body_bytes {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head.push_str("\r\n");
    Ok(Request::Plain {
        endpoint,
        head: head.into_bytes(),
        body_bytes: body_bytes.unwrap_or(0),
    })
}

/// Header fields as name and value, without the space around the value.
fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<(&'a str, &'a str)>, Error> {
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .filter(|(name, value)| is_token(name) && !value.contains(|c: char| c.is_control() && c != '\t'))
            .ok_or(Error::Malformed("a header field is malformed"))?;
        if fields.len() == MAX_FIELDS {
            return Err(Error::Malformed("it has too many header fields"));
        }
        fields.push((name, value.trim_matches([' ', '\t'])));
    }
    Ok(fields)
}

/// The host and port; the case of the letters of a name means nothing, everything else must be exact.
fn endpoint(text: &str, default_port: u16) -> Result<Endpoint, Error> {
    let shown = || text.chars().take(300).collect::<String>().escape_debug().to_string();
    Endpoint::parse(&text.to_ascii_lowercase(), default_port).map_err(|_| Error::Host(shown()))
}

fn has_port(target: &str) -> bool {
    target
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn read(head: &str) -> Result<Request, Error> {
        assert_eq!(head_length(head.as_bytes()), Some(head.len()));
        parse(head.as_bytes())
    }

    fn connect(target: &str) -> Result<Request, Error> {
        read(&format!("CONNECT {target} HTTP/1.1\r\nHost: other.example\r\n\r\n"))
    }

    #[test]
    fn connect_names_a_host_and_a_port() {
        let expected = |text: &str| Ok(Request::Connect(text.parse().unwrap()));
        assert_eq!(connect("a.example:443"), expected("a.example"));
        assert_eq!(connect("A.Example:8443"), expected("a.example:8443"));
        assert_eq!(connect("93.184.215.14:443"), expected("93.184.215.14"));
        assert_eq!(connect("[2606:2800::1]:443"), expected("[2606:2800::1]:443"));
        assert!(matches!(connect("a.example"), Err(Error::Malformed(_))));
        assert!(matches!(connect("http://a.example:80"), Err(Error::Host(_))));
    }

    #[test]
    fn hosts_in_disguise_are_no_hosts() {
        for host in [
            "2130706433",
            "017700000001",
            "0x7f.0.0.1",
            "127.1",
            "[::ffff:127.0.0.1]",
            "[64:FF9B:0::7f00:1]",
            "a.example.",
            "a.example%00.evil.example",
            "user@a.example",
            "a.example\\.evil.example",
            "a.example,evil.example",
        ] {
            let port = format!("{host}:443");
            assert!(matches!(connect(&port), Err(Error::Host(_))), "{host}");
            let plain = format!("GET http://{host}/ HTTP/1.1\r\n\r\n");
            assert!(matches!(read(&plain), Err(Error::Host(_))), "{host}");
        }
        assert!(matches!(
            connect("a.example\0.evil.example:443"),
            Err(Error::Malformed(_))
        ));
        assert!(matches!(connect("b\u{fc}cher.example:443"), Err(Error::Malformed(_))));
    }

    #[test]
    fn plain_requests_are_written_anew() {
        let request = read(
            "POST http://A.example/x?y=1 HTTP/1.1\r\nHost: evil.example\r\nProxy-Authorization: s\r\nUpgrade: h2c\r\n\
             Connection: keep-alive\r\nAccept:  text/plain\t\r\nContent-Length: 3\r\n\r\n",
        );
        let head = "POST /x?y=1 HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\nAccept: text/plain\r\n\
                    content-length: 3\r\n\r\n";
        let expected = Request::Plain {
            endpoint: "a.example:80".parse().unwrap(),
            head: head.into(),
            body_bytes: 3,
        };
        assert_eq!(request, Ok(expected));
        let Ok(Request::Plain { head, endpoint, .. }) = read("GET http://a.example:8080?q HTTP/1.0\r\n\r\n") else {
            panic!("it is a request");
        };
        assert_eq!(endpoint.to_string(), "a.example:8080");
        assert!(head.starts_with(b"GET /?q HTTP/1.1\r\nhost: a.example:8080\r\n"));
        // A proxy behind this one would be reached only by a target of this form, which is never sent.
        let Ok(Request::Plain { head, .. }) = read("GET http://a.example/http://evil.example/ HTTP/1.1\r\n\r\n") else {
            panic!("it is a request");
        };
        assert!(head.starts_with(b"GET /http://evil.example/ HTTP/1.1\r\nhost: a.example\r\n"));
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        let request = "GET http://a.example/ HTTP/1.1\r\n";
        for fields in [
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length : 1\r\n",
            " folded: x\r\n",
            "a: x\r\n y\r\n",
            "a: x\ny: z\r\n",
            "a: x\ry: z\r\n",
            "a: \0\r\n",
            "no colon\r\n",
            ": empty\r\n",
            "Expect: 100-continue\r\n",
            &"a: b\r\n".repeat(MAX_FIELDS + 1),
        ] {
            let head = format!("{request}{fields}\r\n");
            assert!(matches!(read(&head), Err(Error::Malformed(_))), "{fields:?}");
        }
        for line in [
            "GET / HTTP/1.1",
            "GET https://a.example/ HTTP/1.1",
            "GET ftp://a.example/ HTTP/1.1",
            "GET  http://a.example/ HTTP/1.1",
            "GET http://a.example/ HTTP/1.1 ",
            "GET http://a.example/ HTTP/2.0",
            "GET http://a.example/",
            "GET http://a.example/#f HTTP/1.1",
            "GET http://a.example/a\tb HTTP/1.1",
            "TRACE http://a.example/ HTTP/1.1",
            "G\u{e9}T http://a.example/ HTTP/1.1",
            "PRI * HTTP/2.0",
            "",
        ] {
            let head = format!("{line}\r\n\r\n");
            assert!(matches!(parse(head.as_bytes()), Err(Error::Malformed(_))), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"GET http://", &bytes[..], b"\r\n\r\n"].concat());
        }

        #[test]
        fn what_is_sent_on_is_one_request_for_the_host_that_was_judged(
            changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' ')]), 0..5),
        ) {
            let mut head = b"POST http://a.example:8080/p?q HTTP/1.1\r\nHost: b.example\r\nX-A: y\r\nContent-Length: 12\r\n\r\n".to_vec();
            for (at, byte) in changes {
                let at = at.index(head.len());
                head[at] = byte;
            }
            if let Ok(Request::Plain { endpoint, head, .. }) = parse(&head) {
                prop_assert_eq!(head_length(&head), Some(head.len()));
                let text = String::from_utf8(head).unwrap();
                let lines = text.split("\r\n").collect::<Vec<_>>();
                prop_assert!(!lines.concat().contains(['\r', '\n', '\0']));
                prop_assert!(lines[0].split(' ').nth(1).unwrap().starts_with('/'));
                let hosts = lines.iter().filter(|line| line.to_ascii_lowercase().starts_with("host:")).collect::<Vec<_>>();
                let port = if endpoint.port() == 80 { String::new() } else { format!(":{}", endpoint.port()) };
                prop_assert_eq!(hosts, [&format!("host: {}{port}", endpoint.host())]);
            }
        }
    }
}

//! The two notations of `ports` and `volumes`, each read into one plain type.

use std::fmt;

use super::super::document::Node;

/// A container port made reachable from the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) host: String,
    pub(super) published: String,
    pub(super) target: String,
}

impl Published {
    /// Every entry of the service's `ports`.
    pub(super) fn all(service: &Node) -> Vec<Self> {
        service
            .get("ports")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .map(Self::read)
            .collect()
    }

    /// `[host:]published:target[/protocol]`, or a map with `host_ip`, `published` and `target`.
    fn read(node: &Node) -> Self {
        if let Some(text) = node.text() {
            let text = text.split('/').next().unwrap_or(text);
            let mut parts = text.rsplitn(3, ':').map(str::to_owned);
            let target = parts.next().unwrap_or_default();
            let published = parts.next().unwrap_or_default();
            return Self {
                host: parts.next().unwrap_or_default(),
                published,
                target,
            };
        }
        let field = |name: &str| node.get(name).and_then(Node::text).unwrap_or_default().to_owned();
        Self {
            host: field("host_ip"),
            published: field("published"),
            target: field("target"),
        }
    }

    /// Whether only this machine can reach the port.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host.parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.host, &self.published, &self.target];
        let parts: Vec<&str> = parts
            .into_iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        f.write_str(&parts.join(":"))
    }
}

/// A directory or volume made visible in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) source: String,
    pub(super) target: String,
    /// A volume that the engine keeps, and not a path of the host.
    pub(super) is_named: bool,
}

impl Mount {
    /// Every entry of the service's `volumes`.
    pub(super) fn all(service: &Node) -> Vec<Self> {
        service
            .get("volumes")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .map(Self::read)
            .collect()
    }

    /// `source:target[:options]`, `target`, or a map with `type`, `source` and `target`.
    fn read(node: &Node) -> Self {
        if let Some(text) = node.text() {
            let mut parts = text.split(':');
            let first = parts.next().unwrap_or_default().to_owned();
            return match parts.next() {
                Some(target) => {
                    let is_named = !first.starts_with(['.', '/', '~']);
                    Self {
                        source: first,
                        target: target.to_owned(),
                        is_named,
                    }
                }
                None => Self {
                    source: String::new(),
                    target: first,
                    is_named: false,
                },
            };
        }
        let field = |name: &str| node.get(name).and_then(Node::text).unwrap_or_default().to_owned();
        let source = field("source");
        Self {
            is_named: field("type") == "volume" && !source.is_empty(),
            source,
            target: field("target"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::super::document::Document;
    use super::*;

    fn service(text: &str) -> Node {
        let (document, _) = Document::parse(text, &|_| None).unwrap();
        document.get("service").unwrap().clone()
    }

    #[test]
    fn ports_read_the_same_in_both_notations() {
        let service = service(
            "service:\n  ports:\n  - 127.0.0.1:5433:5432/tcp\n  - \"[::1]:80:81\"\n  - 80:81\n  - \"81\"\n  \
             - {host_ip: 127.0.0.1, published: 5433, target: 5432}\n",
        );
        let ports = Published::all(&service);
        let shown: Vec<String> = ports.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "127.0.0.1:5433:5432",
                "[::1]:80:81",
                "80:81",
                "81",
                "127.0.0.1:5433:5432"
            ]
        );
        let loopback: Vec<bool> = ports.iter().map(Published::is_loopback).collect();
        assert_eq!(loopback, [true, true, false, false, true]);
    }

    #[test]
    fn only_volumes_of_the_engine_are_named() {
        let service = service(
            "service:\n  volumes:\n  - data:/data\n  - ./config:/etc/x:ro\n  - /scratch\n  \
             - {type: volume, source: data, target: /data}\n  - {type: bind, source: /a, target: /b}\n",
        );
        let named: Vec<(String, bool)> = Mount::all(&service)
            .into_iter()
            .map(|mount| (mount.target, mount.is_named))
            .collect();
        let expected = [
            ("/data", true),
            ("/etc/x", false),
            ("/scratch", false),
            ("/data", true),
            ("/b", false),
        ];
        assert_eq!(named, expected.map(|(target, named)| (target.to_owned(), named)));
    }
}

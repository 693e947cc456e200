//! What the guard lets through: examples of every trick, and properties over all addresses.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// Every network that is not public, written as the registries write it.
const NOT_PUBLIC: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001::/23",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

fn networks() -> Vec<IpNet> {
    NOT_PUBLIC.iter().map(|text| text.parse().unwrap()).collect()
}

/// The address at a place in a network.
fn within(network: IpNet, place: u128) -> IpAddr {
    match network {
        IpNet::V4(network) => {
            let host = place as u32 & u32::from(network.hostmask());
            Ipv4Addr::from(u32::from(network.network()) | host).into()
        }
        IpNet::V6(network) => {
            let host = place & u128::from(network.hostmask());
            Ipv6Addr::from(u128::from(network.network()) | host).into()
        }
    }
}

fn allow(networks: &[&str]) -> Allowed {
    Allowed::new(networks.iter().map(|text| text.parse().unwrap()).collect())
}

fn judge(url: &str, found: &[&str], allowed: &Allowed) -> Result<Vec<String>, Refused> {
    let found: Vec<IpAddr> = found.iter().map(|text| text.parse().unwrap()).collect();
    let judged = Target::parse(url)?.judge(&found, allowed)?;
    Ok(judged.iter().map(ToString::to_string).collect())
}

/// The address that a URL without a name leads to.
async fn literal(url: &str) -> String {
    let found = Target::parse(url)
        .unwrap()
        .resolve(Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    found[0].to_string()
}

proptest! {
    #[test]
    fn no_address_of_a_network_that_is_not_public_is(network in 0..NOT_PUBLIC.len(), place: u128) {
        // ::/96 and the like hold what is judged by the address inside of it.
        let address = within(networks()[network], place);
        let inside = match address {
            IpAddr::V6(address) => address.to_ipv4_mapped(),
            IpAddr::V4(_) => None,
        };
        prop_assume!(inside.is_none());
        prop_assert!(!is_public(address), "{address}");
    }

    #[test]
    fn an_ipv4_address_is_public_when_no_network_has_it(bits: u32) {
        let address = IpAddr::from(Ipv4Addr::from(bits));
        prop_assert_eq!(is_public(address), !networks().iter().any(|network| network.contains(&address)));
    }

    #[test]
    fn an_ipv6_address_is_public_when_it_is_global_and_no_network_has_it(bits: u128) {
        let address = IpAddr::from(Ipv6Addr::from(bits & !(7 << 125) | (1 << 125)));
        prop_assert_eq!(is_public(address), !networks().iter().any(|network| network.contains(&address)));
    }

    #[test]
    fn an_address_inside_of_another_is_never_more_public(bits: u32) {
        let inner = Ipv4Addr::from(bits);
        let [a, b, c, d] = inner.octets().map(u16::from);
        let (high, low) = (a << 8 | b, c << 8 | d);
        let public = is_public(inner.into());
        let outer = |segments: [u16; 8]| is_public(IpAddr::from(Ipv6Addr::from(segments)));
        prop_assert_eq!(outer([0, 0, 0, 0, 0, 0xffff, high, low]), public, "mapped");
        prop_assert_eq!(outer([0x64, 0xff9b, 0, 0, 0, 0, high, low]), public, "NAT64");
        prop_assert!(!outer([0, 0, 0, 0, 0, 0, high, low]), "compatible");
        prop_assert!(!outer([0, 0, 0, 0, 0xffff, 0, high, low]), "translated");
        prop_assert!(!outer([0x64, 0xff9b, 1, 0, 0, 0, high, low]), "local NAT64");
        prop_assert!(!outer([0x2606, 0x2800, 0x21f, 0, 0, 0x5efe, high, low]), "ISATAP");
        prop_assert!(!outer([0x2002, high, low, 0, 0, 0, 0, 1]), "6to4");
        prop_assert!(!outer([0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, !high, !low]), "Teredo");
    }

    #[test]
    fn one_bad_address_refuses_all(place in 0..4_usize, network in 0..NOT_PUBLIC.len(), host: u128) {
        let mut found: Vec<IpAddr> = vec!["93.184.216.34".parse().unwrap(); 3];
        let bad = within(networks()[network], host);
        prop_assume!(!is_public(bad));
        found.insert(place, bad);
        let target = Target::parse("https://example.org/").unwrap();
        let refused = target.judge(&found, &Allowed::default()).is_err();
        prop_assert!(refused, "{bad}");
        // Where the installation allows it, and only then.
        let allowed = Allowed::new(vec![bad.to_canonical().into()]);
        prop_assert_eq!(target.judge(&found, &allowed).unwrap().len(), 4);
    }

    #[test]
    fn any_text_is_judged_without_a_panic(text: String, path in "[ -~]{0,40}") {
        for url in [text.clone(), format!("https://{text}/"), format!("https://h/{path}")] {
            if let Ok(target) = Target::parse(&url) {
                prop_assert!(!target.authority().is_empty() && target.port != 0);
            }
        }
    }
}

#[test]
fn the_metadata_address_and_its_neighbours_are_refused() {
    let none = Allowed::default();
    for address in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "64:ff9b::a9fe:a9fe",
    ] {
        let refused = judge("https://metadata.example/", &[address], &none).unwrap_err();
        assert!(matches!(refused, Refused::NotPublic { .. }), "{address}");
    }
    let public = ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"];
    let dialled = [
        "93.184.216.34:443",
        "[2606:2800:220:1::1]:443",
        "[64:ff9b::5db8:d822]:443",
    ];
    assert_eq!(judge("https://example.org/", &public, &none).unwrap(), dialled);
}

#[tokio::test]
async fn a_number_is_the_address_that_it_is() {
    for url in [
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://017700000001/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://\u{ff11}27.0.0.1/",
        "https://127\u{3002}0.0.1/",
    ] {
        assert_eq!(literal(url).await, "127.0.0.1", "{url}");
        let refused = judge(url, &["127.0.0.1"], &Allowed::default());
        assert!(matches!(refused, Err(Refused::NotPublic { .. })), "{url}");
    }
    // Not a second lookup, whatever the name would lead to by then.
    assert_eq!(
        judge("https://127.1/", &["127.0.0.1"], &allow(&["127.0.0.1/32"])).unwrap(),
        ["127.0.0.1:443"]
    );
}

#[test]
fn a_url_that_is_none_of_a_webhook_is_refused() {
    let parse = |url: &str| Target::parse(url).map(|target| target.to_string());
    for url in [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "unix:/run/x",
        "https://",
    ] {
        assert_eq!(parse(url), Err(Refused::NotUrl), "{url}");
    }
    for url in [
        "https://a%00b/",
        "https://a b/",
        "https://[::1%25eth0]/",
        "https://300.1.1.1/",
        "https://h:65536/",
    ] {
        assert_eq!(parse(url), Err(Refused::NotUrl), "{url}");
    }
    assert_eq!(
        parse(&format!("https://h/{}", "x".repeat(MOST_URL_BYTES))),
        Err(Refused::NotUrl)
    );
    for url in [
        "https://me@example.org/",
        "https://:secret@example.org/",
        "https://127.0.0.1@example.org/",
    ] {
        assert_eq!(parse(url), Err(Refused::Credentials), "{url}");
    }
    assert_eq!(parse("https://example.org/#a"), Err(Refused::Fragment));
    assert_eq!(parse("https://example.org:0/"), Err(Refused::Port));
    // What looks like another host is part of the path, or the host itself.
    assert_eq!(parse("https://example.org\\@127.0.0.1/").unwrap(), "example.org:443");
    assert_eq!(parse("https:///127.0.0.1/").unwrap(), "127.0.0.1:443");
}

#[test]
fn what_is_not_encrypted_must_be_allowed() {
    let url = "http://hooks.example:8080/a?b=c";
    let refused = judge(url, &["93.184.216.34"], &Allowed::default()).unwrap_err();
    assert!(matches!(refused, Refused::Plain { .. }));
    assert!(!refused.to_string().contains("b=c"), "{refused}");
    let allowed = allow(&["10.0.0.0/8"]);
    assert_eq!(judge(url, &["10.1.2.3"], &allowed).unwrap(), ["10.1.2.3:8080"]);
    assert!(judge(url, &["10.1.2.3", "93.184.216.34"], &allowed).is_err());
    let many = vec!["10.1.2.3"; MOST_ADDRESSES + 1];
    assert!(matches!(judge(url, &many, &allowed), Err(Refused::TooMany(_))));
}

#[test]
fn a_request_names_what_the_url_names() {
    let target = Target::parse("https://Hooks.Example.:8443/a b?c=d").unwrap();
    assert_eq!(target.path().to_string(), "/a%20b?c=d");
    assert_eq!(target.authority(), "hooks.example.:8443");
    assert_eq!(
        target.server_name(),
        Some(ServerName::try_from("hooks.example").unwrap())
    );
    assert_eq!(
        Target::parse("https://[2001:DB8::1]").unwrap().authority(),
        "[2001:db8::1]"
    );
    assert_eq!(format!("{target:?}"), "Target(hooks.example.:8443)");
}

//! What programs try in order to get out by network, against the proxy on real sockets.
//!
//! `127.0.0.2` stands for the public internet and is all that the proxy is told to take for it; `127.0.0.1` stays what it is.

mod fixture;

use std::time::Duration;

use brain_skills::egress::{Decision, Refusal, Settings, client_hello};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use self::fixture::{Fixture, Origin, hello, to_end};

const PATIENCE: Duration = Duration::from_secs(20);
const PUBLIC: &str = "127.0.0.2";

#[tokio::test]
async fn tls_for_a_listed_host_goes_through_both_ways() {
    let mut origin = Origin::tls().await;
    let target = format!("a.example:{}", origin.port);
    let fixture = Fixture::start(&[&target]);
    let mut stream = fixture.tunnel(&target.to_uppercase()).await;
    let hello = hello("a.example");
    // In two pieces, as a network may deliver them.
    stream.write_all(&hello[..7]).await.unwrap();
    stream.write_all(&hello[7..]).await.unwrap();
    assert_eq!(to_end(&mut stream).await, "pong");
    drop(stream);
    assert_eq!(origin.seen().await, hello);
    let allowed = Decision {
        target,
        address: Some(PUBLIC.parse().unwrap()),
        refused: None,
    };
    assert_eq!(fixture.decisions(1).await, [allowed]);
    assert_eq!(fixture.lookups(), ["a.example"]);
}

#[tokio::test]
async fn what_is_not_on_the_list_is_refused_without_a_lookup() {
    for target in [
        // Addresses, the brain itself among them.
        "127.0.0.1:443",
        "93.184.215.14:443",
        "[::1]:443",
        "169.254.169.254:443",
        "[64:ff9b::7f00:1]:443",
        // Suffixes and prefixes of what is listed.
        "example:443",
        "x.a.example:443",
        "evil-a.example:443",
        "a.example.evil.example:443",
        "secret-data.dns.evil.example:443",
        // Other ports of a host that is listed.
        "a.example:22",
        "a.example:80",
        "a.example:444",
        "localhost:443",
    ] {
        let fixture = Fixture::start(&["a.example"]);
        let answer = fixture.ask(format!("CONNECT {target} HTTP/1.1\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{target}: {answer}");
        let decision = fixture.decisions(1).await.remove(0);
        assert_eq!(
            (decision.target.as_str(), decision.refused),
            (target, Some(Refusal::NotListed))
        );
        assert_eq!(fixture.lookups(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn hosts_in_disguise_are_refused_without_a_lookup() {
    let hosts: [&[u8]; 14] = [
        b"2130706433",
        b"017700000001",
        b"0x7f000001",
        b"0x7f.1",
        b"127.1",
        b"0177.0.0.1",
        b"[::ffff:127.0.0.1]",
        b"[::ffff:7f00:1]",
        b"[0:0:0:0:0:0:0:1]",
        b"a.example.",
        b"a.example\0.evil.example",
        b"a.example%00.evil.example",
        b"user@a.example",
        b"b\xc3\xbccher.example",
    ];
    for host in hosts {
        let fixture = Fixture::start(&["a.example", "a.example:80"]);
        for request in [
            [b"CONNECT ", host, b":443 HTTP/1.1\r\n\r\n"].concat(),
            [b"GET http://", host, b"/ HTTP/1.1\r\n\r\n"].concat(),
        ] {
            let answer = fixture.ask(request).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{host:?}: {answer}");
        }
        for decision in fixture.decisions(2).await {
            assert!(
                matches!(decision.refused, Some(Refusal::Host | Refusal::Malformed(_))),
                "{decision:?}"
            );
        }
        assert_eq!(fixture.lookups(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_name_that_is_bound_anew_does_not_lead_inside() {
    let mut origin = Origin::tls().await;
    let target = format!("a.example:{}", origin.port);
    // The second lookup of the name finds the brain's own machine; one request must not come to it.
    let answers = vec![vec![PUBLIC], vec!["127.0.0.1"]];
    let fixture = Fixture::with(&[&target], Settings::default(), answers);
    let mut stream = fixture.tunnel(&target).await;
    stream.write_all(&hello("a.example")).await.unwrap();
    assert_eq!(to_end(&mut stream).await, "pong");
    drop(stream);
    origin.seen().await;
    assert_eq!(fixture.lookups().len(), 1, "what was judged is dialled");
    let answer = fixture.ask(format!("CONNECT {target} HTTP/1.1\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let refused = fixture.decisions(2).await.remove(1).refused;
    assert_eq!(refused, Some(Refusal::NotPublic("127.0.0.1".parse().unwrap())));
}

#[tokio::test]
async fn one_address_that_is_not_public_refuses_the_name() {
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "fd00:ec2::254",
        "fe80::1",
        "224.0.0.1",
        "0.0.0.0",
    ] {
        let mut origin = Origin::tls().await;
        let target = format!("a.example:{}", origin.port);
        let fixture = Fixture::with(&[&target], Settings::default(), vec![vec![PUBLIC, address]]);
        let answer = fixture.ask(format!("CONNECT {target} HTTP/1.1\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{address}: {answer}");
        assert_eq!(fixture.refusal().await, Refusal::NotPublic(address.parse().unwrap()));
        assert!(origin.seen.try_recv().is_err(), "nothing was dialled");
    }
}

#[tokio::test]
async fn being_on_the_list_makes_no_address_public() {
    for (entry, target) in [
        ("169.254.169.254:80", "169.254.169.254:80"),
        ("127.0.0.1", "127.0.0.1:443"),
        ("[::1]", "[::1]:443"),
        ("[fd00:ec2::254]:80", "[fd00:ec2::254]:80"),
    ] {
        let fixture = Fixture::start(&[entry]);
        let answer = fixture.ask(format!("CONNECT {target} HTTP/1.1\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{entry}: {answer}");
        assert!(matches!(fixture.refusal().await, Refusal::NotPublic(_)));
    }
}

#[tokio::test]
async fn a_tunnel_carries_tls_for_its_host_or_nothing() {
    let other = Refusal::ServerName("b.example".into());
    let not_tls = || Refusal::Tls(client_hello::Error::NotTls);
    let cases = [
        (hello("b.example"), other),
        (hello("192.0.2.1"), Refusal::ServerName(String::new())),
        // A second proxy, at a host that is allowed.
        (b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n".to_vec(), not_tls()),
        (b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), not_tls()),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_vec(), not_tls()),
        (vec![22, 3, 1, 0, 0], Refusal::Tls(client_hello::Error::Malformed)),
    ];
    for (bytes, expected) in cases {
        let mut origin = Origin::tls().await;
        let target = format!("a.example:{}", origin.port);
        let fixture = Fixture::start(&[&target]);
        let mut stream = fixture.tunnel(&target).await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(to_end(&mut stream).await, "");
        assert_eq!(fixture.refusal().await, expected);
        assert_eq!(origin.seen().await, b"", "not one byte of it arrives");
    }
}

#[tokio::test]
async fn a_kept_connection_is_for_one_host_and_one_request() {
    let mut origin = Origin::http("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let host = format!("a.example:{}", origin.port);
    let fixture = Fixture::start(&[&host]);
    let second = format!(
        "GET http://evil.example:{}/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        origin.port
    );
    let answer = fixture
        .ask(format!(
            "POST http://{host}/first HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 3\r\n\r\nabc{second}"
        ))
        .await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let seen = String::from_utf8(origin.seen().await).unwrap();
    let expected = format!("POST /first HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!(seen, expected);
    let decisions = fixture.decisions(2).await;
    assert!(decisions[0].allowed());
    assert!(matches!(decisions[1].refused, Some(Refusal::Malformed(_))));
    assert_eq!(fixture.lookups(), ["a.example"]);
}

#[tokio::test]
async fn a_second_request_that_comes_later_goes_nowhere_either() {
    let mut origin = Origin::start(|_| false, String::new()).await;
    let host = format!("a.example:{}", origin.port);
    let fixture = Fixture::start(&[&host]);
    let mut stream = fixture.connect().await;
    let request = format!("GET http://{host}/ HTTP/1.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    fixture.decisions(1).await;
    stream
        .write_all(b"GET http://evil.example/ HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    assert!(!fixture.decisions(2).await[1].allowed());
    fixture.stop.cancel();
    let seen = String::from_utf8(origin.seen().await).unwrap();
    assert_eq!(
        seen,
        format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
    );
}

/// A program as people write them follows the redirect, and comes to the proxy with it.
#[tokio::test]
async fn a_redirect_off_the_list_is_refused() {
    let origin = Origin::http(
        "HTTP/1.1 302 Found\r\nlocation: http://evil.example/stolen\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    )
    .await;
    let host = format!("a.example:{}", origin.port);
    let fixture = Fixture::start(&[&host]);
    let script = "import sys, urllib.request, urllib.error\n\
                  try: urllib.request.urlopen(sys.argv[1], timeout=20)\n\
                  except urllib.error.HTTPError as e: print(e.code, e.url)\n";
    let program = tokio::process::Command::new("python3")
        .args(["-c", script, &format!("http://{host}/")])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("http_proxy", format!("http://{}", fixture.address))
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, program).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "403 http://evil.example/stolen", "{output:?}");
    let decisions = fixture.decisions(2).await;
    assert!(decisions[0].allowed());
    assert_eq!(decisions[1].target, "evil.example:80");
    assert_eq!(decisions[1].refused, Some(Refusal::NotListed));
    assert_eq!(fixture.lookups(), ["a.example"]);
}

#[tokio::test]
async fn heads_are_bounded_in_size_and_time() {
    let settings = Settings {
        head_time: Duration::from_millis(200),
        ..Settings::default()
    };
    let fixture = Fixture::with(&["a.example"], settings.clone(), vec![]);
    let answer = fixture.ask("CONNECT a.example:443 HTTP/1.1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(fixture.refusal().await, Refusal::Slow);

    let fixture = Fixture::with(&["a.example"], settings.clone(), vec![]);
    let answer = fixture.ask("x".repeat(16 << 10)).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(matches!(fixture.refusal().await, Refusal::Malformed(_)));

    // Someone who connects and says nothing is let go, and is nothing that was decided.
    let fixture = Fixture::with(&["a.example"], settings.clone(), vec![]);
    assert_eq!(fixture.ask("").await, "");
    fixture.decisions(0).await;

    let origin = Origin::tls().await;
    let target = format!("a.example:{}", origin.port);
    let fixture = Fixture::with(&[&target], settings, vec![]);
    let mut stream = fixture.tunnel(&target).await;
    stream.write_all(&hello("a.example")[..20]).await.unwrap();
    assert_eq!(to_end(&mut stream).await, "");
    assert_eq!(fixture.refusal().await, Refusal::Tls(client_hello::Error::Missing));
}

#[tokio::test]
async fn connections_are_bounded_and_silence_ends_them() {
    let settings = Settings {
        connections: 1,
        idle_time: Duration::from_millis(500),
        ..Settings::default()
    };
    // It never has enough, so that the tunnel stays open until it is cut.
    let mut origin = Origin::start(|_| false, String::new()).await;
    let target = format!("a.example:{}", origin.port);
    let fixture = Fixture::with(&[&target], settings, vec![]);
    let mut first = fixture.tunnel(&target).await;
    let hello = hello("a.example");
    first.write_all(&hello).await.unwrap();
    fixture.decisions(1).await;
    let mut second = fixture.connect().await;
    second
        .write_all(b"CONNECT b.example:443 HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let answered = timeout(Duration::from_millis(100), second.readable()).await;
    assert!(answered.is_err(), "the second waits while the first is open");
    assert_eq!(to_end(&mut first).await, "");
    assert_eq!(origin.seen().await, hello);
    assert!(to_end(&mut second).await.starts_with("HTTP/1.1 403 "));
    fixture.decisions(2).await;
}

#[tokio::test]
async fn stopping_cuts_everything() {
    let mut origin = Origin::start(|_| false, String::new()).await;
    let target = format!("a.example:{}", origin.port);
    let fixture = Fixture::start(&[&target]);
    let mut stream = fixture.tunnel(&target).await;
    stream.write_all(&hello("a.example")).await.unwrap();
    fixture.decisions(1).await;
    fixture.stop.cancel();
    assert_eq!(to_end(&mut stream).await, "");
    origin.seen().await;
    timeout(PATIENCE, fixture.served).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(fixture.address).await.is_err());
}

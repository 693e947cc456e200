//! Registries over HTTP, with servers that behave and servers that do not.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use brain_skills::registry::{Error, Proxy, Registry, Settings, Source};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{Reader, listed, made, resolve};

#[derive(Clone)]
enum Manner {
    Serves(PathBuf),
    /// Answers every request with this head.
    Says(&'static str),
    /// Answers 503 so often before it serves.
    FailsFirst(usize, PathBuf),
    /// Sends a byte every 20 ms and never ends.
    Drips,
    /// Sends chunks for ever, as fast as they are taken.
    Floods,
    /// Accepts and says nothing.
    Silent,
}

struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(manner: Manner) -> Self {
        Self::start_with(manner, None).await
    }

    async fn start_with(manner: Manner, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (manner, counted, tls) = (manner.clone(), Arc::clone(&counted), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => answer(stream, manner, counted).await,
                        Some(tls) => answer(tls.accept(stream).await.ok()?, manner, counted).await,
                    }
                });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    fn source(&self) -> Source {
        Source::Http(format!("http://{}/registry", self.address).parse().unwrap())
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// One request for each connection. Errors are the reader's hanging up.
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    manner: Manner,
    requests: Arc<AtomicUsize>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let before = requests.fetch_add(1, Ordering::SeqCst);
    let head = String::from_utf8(head).ok()?;
    let url = head.split(' ').nth(1)?;
    // A proxy is asked with the whole URL.
    let path = url.split_once("/registry/")?.1.to_owned();
    const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    match manner {
        Manner::FailsFirst(count, _) if before < count => stream.write_all(UNAVAILABLE.as_bytes()).await.ok()?,
        Manner::Serves(folder) | Manner::FailsFirst(_, folder) => match std::fs::read(folder.join(path)) {
            Ok(bytes) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    bytes.len()
                );
                stream.write_all(head.as_bytes()).await.ok()?;
                stream.write_all(&bytes).await.ok()?;
            }
            Err(_) => {
                let head = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(head.as_bytes()).await.ok()?;
            }
        },
        Manner::Says(head) => stream.write_all(head.as_bytes()).await.ok()?,
        Manner::Drips => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                .await
                .ok()?;
            loop {
                stream.write_all(b" ").await.ok()?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Manner::Floods => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await
                .ok()?;
            let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
            loop {
                stream.write_all(chunk.as_bytes()).await.ok()?;
            }
        }
        Manner::Silent => {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.ok()?;
        }
    }
    stream.shutdown().await.ok()
}

async fn open(reader: &Reader, source: &Source, settings: Settings) -> Registry {
    Registry::open(source, &reader.root, reader.state.path(), settings)
        .await
        .unwrap()
}

async fn read(server: &Server) -> Result<Registry, Error> {
    let reader = Reader::of_made();
    let settings = Settings {
        request: Duration::from_millis(300),
        tries: 2,
        ..reader.settings()
    };
    let registry = open(&reader, &server.source(), settings).await;
    let started = Instant::now();
    let result = tokio::time::timeout(Duration::from_secs(10), registry.refresh())
        .await
        .expect("it ends in time");
    assert!(started.elapsed() < Duration::from_secs(5));
    result.map(|()| registry)
}

#[tokio::test]
async fn a_registry_is_read_over_http() {
    let server = Server::start(Manner::Serves(made().join("later"))).await;
    let reader = Reader::of_made();
    let registry = open(&reader, &server.source(), reader.settings()).await;
    registry.refresh().await.unwrap();
    assert_eq!(
        listed(&registry),
        ["acme-mail@1.0.0", "acme-mail@1.1.0", "globex-tool@1.0.0"]
    );
    let found = resolve(&registry, "acme-mail@1.1.0").unwrap();
    let file = registry.fetch(&found).await.unwrap();
    assert_eq!(std::io::read_to_string(file).unwrap(), "archive of acme-mail/1.1.0");
    // When nothing changed, the next root and the timestamp are all that is asked for.
    let before = server.requests();
    registry.refresh().await.unwrap();
    assert_eq!(server.requests() - before, 2);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(Manner::Serves(made().join("good"))).await;
    for head in [
        format!(
            "HTTP/1.1 302 Found\r\nlocation: http://{}/registry/x\r\ncontent-length: 0\r\n\r\n",
            elsewhere.address
        ),
        "HTTP/1.1 301 Moved\r\nlocation: /registry/other\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 307 Moved\r\nlocation: http://skills.example/\r\ncontent-length: 0\r\n\r\n".to_owned(),
    ] {
        let server = Server::start(Manner::Says(head.leak())).await;
        assert!(matches!(read(&server).await, Err(Error::Redirected { .. })));
        assert_eq!(server.requests(), 1);
    }
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn slow_and_silent_servers_are_given_up() {
    for manner in [Manner::Drips, Manner::Silent] {
        let server = Server::start(manner).await;
        let error = read(&server).await.unwrap_err();
        assert!(
            matches!(&error, Error::Unavailable { reason, .. } if reason.contains("300 ms")),
            "{error}"
        );
        assert!(error.retryable());
        assert_eq!(server.requests(), 2);
    }
}

#[tokio::test]
async fn an_archive_has_a_deadline_of_its_own() {
    let good = Server::start(Manner::Serves(made().join("good"))).await;
    let reader = Reader::of_made();
    let registry = open(&reader, &good.source(), reader.settings()).await;
    registry.refresh().await.unwrap();
    let found = resolve(&registry, "acme-mail@1.0.0").unwrap();
    drop(registry);
    for (manner, late) in [(Manner::Silent, true), (Manner::Floods, false)] {
        let server = Server::start(manner).await;
        let settings = Settings {
            archive: Duration::from_millis(200),
            ..reader.settings()
        };
        let registry = open(&reader, &server.source(), settings).await;
        let fetched = tokio::time::timeout(Duration::from_secs(10), registry.fetch(&found)).await;
        let error = fetched.expect("it ends in time").unwrap_err();
        assert_eq!(matches!(&error, Error::Unavailable { .. }), late, "{error}");
        assert_eq!(matches!(&error, Error::TooLarge { .. }), !late, "{error}");
    }
}

#[tokio::test]
async fn endless_answers_are_cut_off() {
    let server = Server::start(Manner::Floods).await;
    assert!(matches!(read(&server).await, Err(Error::TooLarge { .. })));
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    let server = Server::start(Manner::Says(announced)).await;
    assert!(matches!(read(&server).await, Err(Error::TooLarge { .. })));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn failures_are_tried_again_a_few_times() {
    let server = Server::start(Manner::FailsFirst(1, made().join("good"))).await;
    assert!(read(&server).await.is_ok());
    let server = Server::start(Manner::FailsFirst(9, made().join("good"))).await;
    assert!(matches!(read(&server).await, Err(Error::Unavailable { .. })));
    assert_eq!(server.requests(), 2);
    // Cut off in the middle, and nobody there.
    let server = Server::start(Manner::Says("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")).await;
    assert!(matches!(read(&server).await, Err(Error::Unavailable { .. })));
    let address = server.address;
    drop(server);
    let reader = Reader::of_made();
    let source = Source::Http(format!("http://{address}/registry/").parse().unwrap());
    let registry = open(&reader, &source, reader.settings()).await;
    assert!(registry.refresh().await.unwrap_err().retryable());
}

#[tokio::test]
async fn a_proxy_is_used_where_it_is_given() {
    let proxy = Server::start(Manner::Serves(made().join("good"))).await;
    let through = |except: &str| Proxy {
        http: Some(format!("http://{}", proxy.address).parse().unwrap()),
        https: None,
        except: except.to_owned(),
    };
    let source = Source::Http("http://skills.invalid/registry/".parse().unwrap());
    for (except, reached) in [("", true), ("skills.invalid", false)] {
        let reader = Reader::of_made();
        let settings = Settings {
            proxy: Some(through(except)),
            plain_http: true,
            ..reader.settings()
        };
        let registry = open(&reader, &source, settings).await;
        assert_eq!(registry.refresh().await.is_ok(), reached, "{except}");
    }
    let used = proxy.requests();
    assert!(used > 0);
    // This machine itself is never reached through a proxy.
    let server = Server::start(Manner::Serves(made().join("good"))).await;
    let reader = Reader::of_made();
    let settings = Settings {
        proxy: Some(through("")),
        ..reader.settings()
    };
    open(&reader, &server.source(), settings).await.refresh().await.unwrap();
    assert_eq!(proxy.requests(), used);
}

/// A server's side of TLS for 127.0.0.1, and the certificate to trust, as PEM.
fn tls() -> (tokio_rustls::TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = config
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (tokio_rustls::TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

#[tokio::test]
async fn https_needs_a_trusted_certificate_and_never_falls_to_plain_http() {
    let (acceptor, authority) = tls();
    let plain = Server::start(Manner::Serves(made().join("good"))).await;
    let to_plain = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/registry/x\r\ncontent-length: 0\r\n\r\n",
        plain.address
    );
    for (manner, authorities) in [
        (Manner::Serves(made().join("good")), vec![authority.clone()]),
        (Manner::Serves(made().join("good")), vec![]),
        (Manner::Says(to_plain.leak()), vec![authority.clone()]),
    ] {
        let server = Server::start_with(manner.clone(), Some(acceptor.clone())).await;
        let source = Source::Http(format!("https://{}/registry", server.address).parse().unwrap());
        let reader = Reader::of_made();
        let trusted = !authorities.is_empty();
        let settings = Settings {
            authorities,
            ..reader.settings()
        };
        let result = open(&reader, &source, settings).await.refresh().await;
        match (manner, trusted) {
            (Manner::Says(_), _) => assert!(matches!(result, Err(Error::Redirected { .. }))),
            (_, true) => result.unwrap(),
            (_, false) => {
                assert!(matches!(result, Err(Error::Unavailable { .. })));
                assert_eq!(server.requests(), 0);
            }
        }
    }
    assert_eq!(plain.requests(), 0);
}

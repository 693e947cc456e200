//! A proxy with its decisions in the hand, and servers for it to reach.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use brain_skills::egress::{Allowlist, Decision, Proxy, Refusal, Resolve, Settings, address::Exceptions, client_hello};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, PUBLIC};

/// A proxy for one program, and what it was asked and decided.
pub(super) struct Fixture {
    pub(super) address: SocketAddr,
    pub(super) decisions: Arc<Mutex<Vec<Decision>>>,
    pub(super) lookups: Arc<Mutex<Vec<String>>>,
    pub(super) stop: CancellationToken,
    pub(super) served: JoinHandle<io::Result<()>>,
}

impl Fixture {
    pub(super) fn start(list: &[&str]) -> Self {
        Self::with(list, Settings::default(), vec![])
    }

    /// `answers` are what lookups find one after the other; when they are used up, the public stand-in is found.
    pub(super) fn with(list: &[&str], settings: Settings, answers: Vec<Vec<&str>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let decisions = Arc::new(Mutex::new(Vec::new()));
        let lookups = Arc::new(Mutex::new(Vec::new()));
        let parse = |texts: Vec<&str>| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let answers = Mutex::new(answers.into_iter().map(parse).collect::<VecDeque<_>>());
        let asked = Arc::clone(&lookups);
        let resolve: Resolve = Arc::new(move |name| {
            asked.lock().unwrap().push(name);
            let answer = answers.lock().unwrap().pop_front();
            Box::pin(async move { Ok(answer.unwrap_or_else(|| vec![PUBLIC.parse().unwrap()])) })
        });
        let settings = Settings {
            exceptions: Exceptions::new(vec![format!("{PUBLIC}/32").parse().unwrap()]),
            ..settings
        };
        let told = Arc::clone(&decisions);
        let stop = CancellationToken::new();
        let serve = {
            let (list, stop) = (Arc::new(Allowlist::parse(list).unwrap()), stop.clone());
            let log = Arc::new(move |decision| told.lock().unwrap().push(decision));
            async move {
                let proxy = Proxy::with_resolver(settings, resolve);
                proxy.serve(listener, list, log, stop).await
            }
        };
        Self {
            address,
            decisions,
            lookups,
            stop,
            served: tokio::spawn(serve),
        }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends this, and reads until the proxy closes.
    pub(super) async fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        to_end(&mut stream).await
    }

    /// A connection that was let through by CONNECT, before TLS.
    pub(super) async fn tunnel(&self, target: &str) -> TcpStream {
        let mut stream = self.connect().await;
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, stream.read_u8()).await.unwrap();
            head.push(byte.expect("the proxy lets it through"));
        }
        assert!(head.starts_with(b"HTTP/1.1 200 "), "{head:?}");
        stream
    }

    pub(super) fn lookups(&self) -> Vec<String> {
        self.lookups.lock().unwrap().clone()
    }

    /// Waits for this many decisions.
    pub(super) async fn decisions(&self, count: usize) -> Vec<Decision> {
        let found = async {
            loop {
                let decisions = self.decisions.lock().unwrap().clone();
                if decisions.len() >= count {
                    return decisions;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let decisions = timeout(PATIENCE, found).await.expect("decisions are told");
        assert_eq!(decisions.len(), count, "{decisions:?}");
        decisions
    }

    /// The one decision, a refusal.
    pub(super) async fn refusal(&self) -> Refusal {
        self.decisions(1).await.remove(0).refused.expect("it was refused")
    }
}

/// Reads until the other side closes; a reset is an end, too.
pub(super) async fn to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut text))
        .await
        .expect("the connection ends");
    String::from_utf8(text).unwrap()
}

/// A server at the public stand-in: for each connection in turn it reads until `enough`, answers, and hands over what it read.
pub(super) struct Origin {
    pub(super) port: u16,
    pub(super) seen: tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Origin {
    pub(super) async fn start(enough: fn(&[u8]) -> bool, answer: String) -> Self {
        let listener = tokio::net::TcpListener::bind((PUBLIC, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, seen) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = Vec::new();
                while !enough(&bytes) && matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {}
                if enough(&bytes) {
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                    // Whatever else is sent belongs to what was seen.
                    while matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {}
                }
                let _ = tell.send(bytes);
            }
        });
        Self { port, seen }
    }

    pub(super) async fn tls() -> Self {
        Self::start(
            |bytes| matches!(client_hello::server_name(bytes), Ok(Some(_))),
            "pong".into(),
        )
        .await
    }

    pub(super) async fn http(answer: &str) -> Self {
        Self::start(
            |bytes| bytes.windows(4).any(|window| window == b"\r\n\r\n"),
            answer.into(),
        )
        .await
    }

    pub(super) async fn seen(&mut self) -> Vec<u8> {
        let seen = timeout(PATIENCE, self.seen.recv()).await;
        seen.expect("a connection comes and ends").unwrap()
    }
}

pub(super) fn hello(name: &str) -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), name.to_owned().try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

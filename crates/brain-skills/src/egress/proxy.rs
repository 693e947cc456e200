//! The proxy through which a program reaches the hosts on its list: CONNECT for TLS, one exchange a connection for plain HTTP.
//!
//! Invariants: a name that is not on the list is never looked up; a name is looked up once for each request and one address
//! of it that is not public refuses all; the address that was judged is dialled, through no further proxy; a tunnel carries TLS
//! for the host that was judged or nothing; heads, connections and silence are bounded.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    address::Exceptions,
    allowlist::{Allowlist, Endpoint, Host},
    client_hello,
    decision::{Decision, Refusal, Sink},
    relay,
    request::{self, Request},
};

/// Most addresses of a name that are looked at; a name with more is refused.
const MAX_ADDRESSES: usize = 32;

/// Looks up the addresses of a name.
pub type Resolve = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync>;

/// What the proxy allows in time and number.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Networks that may be reached although they are not public.
    pub exceptions: Exceptions,
    /// Connections of one program at a time; further ones wait.
    pub connections: usize,
    /// For a whole request head, and for the first message of TLS.
    pub head_time: Duration,
    /// For a lookup, and for each attempt to connect.
    pub dial_time: Duration,
    /// How long nothing may move over a connection.
    pub idle_time: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            exceptions: Exceptions::default(),
            connections: 64,
            head_time: Duration::from_secs(10),
            dial_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(60),
        }
    }
}

/// The proxy. Cheap to clone.
#[derive(Clone)]
pub struct Proxy {
    settings: Arc<Settings>,
    resolve: Resolve,
}

impl Proxy {
    /// A proxy that looks names up as this machine does.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let resolve: Resolve = Arc::new(|name| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((name, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            })
        });
        Self::with_resolver(settings, resolve)
    }

    /// A proxy that looks names up by this.
    #[must_use]
    pub fn with_resolver(settings: Settings, resolve: Resolve) -> Self {
        Self {
            settings: Arc::new(settings),
            resolve,
        }
    }

    /// Serves one program until `stop`; then all its connections are cut.
    ///
    /// # Errors
    /// The listener is none that can be used.
    pub async fn serve(
        &self,
        listener: std::net::TcpListener,
        allowed: Arc<Allowlist>,
        log: Sink,
        stop: CancellationToken,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let room = Arc::new(Semaphore::new(self.settings.connections));
        let mut connections = JoinSet::new();
        let accept = async {
            loop {
                while connections.try_join_next().is_some() {}
                // The semaphore is never closed; without a permit nothing is accepted.
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                    return;
                };
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let connection = Connection {
                            proxy: self.clone(),
                            allowed: Arc::clone(&allowed),
                            log: Arc::clone(&log),
                        };
                        connections.spawn(async move {
                            connection.serve(stream).await;
                            drop(permit);
                        });
                    }
                    // Mostly a shortage of descriptors, which passes.
                    Err(error) => {
                        tracing::warn!(%error, "the egress proxy cannot accept");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(accept).await;
        connections.shutdown().await;
        Ok(())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A request that was refused: why, what to answer, and for what host.
struct Refused {
    target: String,
    address: Option<IpAddr>,
    why: Refusal,
}

struct Connection {
    proxy: Proxy,
    allowed: Arc<Allowlist>,
    log: Sink,
}

impl Connection {
    async fn serve(&self, mut program: TcpStream) {
        let settings = &self.proxy.settings;
        let mut buffer = Vec::new();
        let refused = match self.open(&mut program, &mut buffer).await {
            Ok(None) => return,
            Ok(Some(request)) => match self.dial(request.endpoint()).await {
                Ok((host, address)) => return self.exchange(request, program, buffer, host, address).await,
                Err(why) => Refused {
                    target: request.target(),
                    address: None,
                    why,
                },
            },
            Err(refused) => refused,
        };
        let answer = refusal_answer(&refused.why);
        self.tell(refused.target, refused.address, Some(refused.why));
        let _ = timeout(settings.head_time, async {
            program.write_all(&answer).await?;
            program.shutdown().await?;
            drain(&mut program).await
        })
        .await;
    }

    /// Reads a request and judges it by the list; nothing where the program went away without a word.
    async fn open(&self, program: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Option<Request>, Refused> {
        let unread = |why| Refused {
            target: String::new(),
            address: None,
            why,
        };
        let head = timeout(self.proxy.settings.head_time, read_head(program, buffer)).await;
        let length = match head {
            Err(_) if buffer.is_empty() => return Ok(None),
            Err(_) => return Err(unread(Refusal::Slow)),
            Ok(Ok(Some(length))) => length,
            Ok(_) if buffer.is_empty() => return Ok(None),
            Ok(Ok(None)) => return Err(unread(Refusal::Malformed("its head is too long"))),
            Ok(Err(_)) => return Err(unread(Refusal::Malformed("it ended within its head"))),
        };
        let request = request::parse(&buffer[..length]).map_err(|error| match error {
            request::Error::Malformed(what) => unread(Refusal::Malformed(what)),
            request::Error::Host(target) => Refused {
                target,
                address: None,
                why: Refusal::Host,
            },
        })?;
        buffer.drain(..length);
        if !self.allowed.allows(request.endpoint()) {
            return Err(Refused {
                target: request.target(),
                address: None,
                why: Refusal::NotListed,
            });
        }
        Ok(Some(request))
    }

    /// Looks a host up, judges all that was found, and connects to the first address that answers.
    async fn dial(&self, endpoint: &Endpoint) -> Result<(TcpStream, IpAddr), Refusal> {
        let settings = &self.proxy.settings;
        let found = match endpoint.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => match timeout(settings.dial_time, (self.proxy.resolve)(name.clone())).await {
                Ok(Ok(found)) if (1..=MAX_ADDRESSES).contains(&found.len()) => found,
                _ => return Err(Refusal::Unresolved),
            },
        };
        if let Some(address) = found.iter().find(|address| !settings.exceptions.allow(**address)) {
            return Err(Refusal::NotPublic(*address));
        }
        for address in found {
            let target = SocketAddr::new(address, endpoint.port());
            if let Ok(Ok(stream)) = timeout(settings.dial_time, TcpStream::connect(target)).await {
                let _ = stream.set_nodelay(true);
                return Ok((stream, address));
            }
        }
        Err(Refusal::Unreachable)
    }

    async fn exchange(
        &self,
        request: Request,
        mut program: TcpStream,
        mut buffer: Vec<u8>,
        mut host: TcpStream,
        address: IpAddr,
    ) {
        let settings = &self.proxy.settings;
        let target = request.target();
        match request {
            Request::Connect(endpoint) => {
                let greeting = self.greet(&endpoint, &mut program, &mut buffer);
                let checked = timeout(settings.head_time, greeting).await;
                let refused = checked.unwrap_or(Err(Refusal::Tls(client_hello::Error::Missing))).err();
                let cut = refused.is_some();
                self.tell(target, Some(address), refused);
                if !cut && host.write_all(&buffer).await.is_ok() {
                    relay::tunnel(program, host, settings.idle_time).await;
                }
            }
            Request::Plain { head, body_bytes, .. } => {
                self.tell(target.clone(), Some(address), None);
                let sent = send(&mut program, &mut host, &head, buffer, body_bytes, settings.idle_time).await;
                let Ok(extra) = sent else { return };
                let tell = || {
                    self.tell(
                        target,
                        None,
                        Some(Refusal::Malformed("a connection carries one request")),
                    )
                };
                let mut tell = Some(tell);
                if extra && let Some(tell) = tell.take() {
                    tell();
                }
                relay::answer(program, host, settings.idle_time, || {
                    if let Some(tell) = tell.take() {
                        tell();
                    }
                })
                .await;
            }
        }
    }

    /// Lets the program begin TLS, and checks for whom.
    async fn greet(&self, endpoint: &Endpoint, program: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), Refusal> {
        let missing = |_| Refusal::Tls(client_hello::Error::Missing);
        let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
        program.write_all(established).await.map_err(missing)?;
        let name = loop {
            if let Some(name) = client_hello::server_name(buffer).map_err(Refusal::Tls)? {
                break name;
            }
            let room = client_hello::MAX_BYTES - buffer.len();
            if (&mut *program)
                .take(room as u64)
                .read_buf(buffer)
                .await
                .map_err(missing)?
                == 0
            {
                return Err(Refusal::Tls(client_hello::Error::Missing));
            }
        };
        let expected = match endpoint.host() {
            Host::Name(name) => Some(name.as_str()),
            // No certificate is asked for by address in this field.
            Host::Address(_) => None,
        };
        let lower = name.as_deref().map(str::to_ascii_lowercase);
        if lower.as_deref() == expected {
            return Ok(());
        }
        let shown = lower.unwrap_or_default().escape_debug().take(300).collect();
        Err(Refusal::ServerName(shown))
    }

    fn tell(&self, target: String, address: Option<IpAddr>, refused: Option<Refusal>) {
        (self.log)(Decision {
            target,
            address,
            refused,
        });
    }
}

impl Request {
    fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Connect(endpoint) | Self::Plain { endpoint, .. } => endpoint,
        }
    }

    fn target(&self) -> String {
        let endpoint = self.endpoint();
        format!("{}:{}", endpoint.host(), endpoint.port())
    }
}

/// Reads until a head is whole; nothing where it is too long.
async fn read_head(program: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
    loop {
        let room = request::MAX_BYTES - buffer.len();
        if room == 0 {
            return Ok(None);
        }
        buffer.reserve(room.min(4096));
        if (&mut *program).take(room as u64).read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(length) = request::head_length(buffer) {
            return Ok(Some(length));
        }
    }
}

/// Sends a request with exactly as much body as it said, and tells whether the program had sent more.
async fn send(
    program: &mut TcpStream,
    host: &mut TcpStream,
    head: &[u8],
    buffer: Vec<u8>,
    body_bytes: u64,
    idle: Duration,
) -> io::Result<bool> {
    host.write_all(head).await?;
    let known = buffer.len().min(usize::try_from(body_bytes).unwrap_or(usize::MAX));
    host.write_all(&buffer[..known]).await?;
    let mut left = body_bytes - known as u64;
    let mut piece = vec![0; 16 << 10];
    while left > 0 {
        let want = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = timeout(idle, program.read(&mut piece[..want])).await??;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        timeout(idle, host.write_all(&piece[..count])).await??;
        left -= count as u64;
    }
    Ok(buffer.len() > known)
}

/// Reads what the program still sends, so that it gets to read the answer; bounded by the caller's time and by this count.
async fn drain(program: &mut TcpStream) -> io::Result<()> {
    let mut piece = [0; 1024];
    for _ in 0..64 {
        if program.read(&mut piece).await? == 0 {
            break;
        }
    }
    Ok(())
}

fn refusal_answer(why: &Refusal) -> Vec<u8> {
    let status = match why {
        Refusal::Malformed(_) | Refusal::Host => "400 Bad Request",
        Refusal::Slow => "408 Request Timeout",
        Refusal::Unresolved | Refusal::Unreachable => "502 Bad Gateway",
        Refusal::NotListed | Refusal::NotPublic(_) | Refusal::Tls(_) | Refusal::ServerName(_) => "403 Forbidden",
    };
    let body = format!("{why}\n");
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

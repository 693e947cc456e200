//! Signed requests to webhooks: judged, connected, signed, let through, sent.
//!
//! Invariants: the fence is passed when all is ready and nothing has been sent, once, and not at all for what is refused; each
//! request has a connection of its own; neither proxies nor anything else of the environment changes where it goes.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use brain_config::Webhooks;
use bytes::Bytes;
use hyper::{
    Method, Request,
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;
use uuid::Uuid;

use super::{
    address::{Allowed, Target},
    exchange::{Answer, Failure, by, exchange},
    signature::{ID, InvalidSecret, Keys, SIGNATURE, TIMESTAMP},
    wire::Stream,
};
use crate::governance::executor::{Fence, NotSent};

/// Longest time for a name to be looked up.
const LOOKUP: Duration = Duration::from_secs(5);

/// Longest time for a connection to come up, with TLS.
const CONNECT: Duration = Duration::from_secs(5);

/// Most addresses of a name that are dialled, one after the other.
const DIALLED: usize = 4;

/// A time limit that is longer than this counts as this.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const PROGRAM: HeaderValue = HeaderValue::from_static(concat!("studio-brain/", env!("CARGO_PKG_VERSION")));

/// Why a client cannot be made of these settings.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A secret cannot be signed with.
    #[error("requests to webhooks cannot be signed: {0}")]
    Secret(#[from] InvalidSecret),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Sends requests to webhooks; clones share what is in it.
#[derive(Clone)]
pub struct Client {
    allowed: Allowed,
    keys: Option<Keys>,
    /// Nothing where no authority can be trusted.
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("allowed", &self.allowed)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that trusts the certificate authorities of the operating system.
    ///
    /// # Errors
    /// [`Unusable`] when a secret is none, or TLS cannot be set up.
    pub fn new(settings: &Webhooks) -> Result<Self, Unusable> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::trusting(settings, roots)
    }

    /// A client that trusts these certificate authorities and no others.
    ///
    /// # Errors
    /// [`Unusable`] when a secret is none, or TLS cannot be set up.
    pub fn trusting(settings: &Webhooks, roots: RootCertStore) -> Result<Self, Unusable> {
        let previous = settings.previous_signing_secret.as_ref();
        let keys = settings.signing_secret.as_ref();
        Ok(Self {
            allowed: Allowed::new(settings.allowed_addresses.clone()),
            keys: keys.map(|secret| Keys::new(secret, previous)).transpose()?,
            tls: if roots.is_empty() { None } else { Some(tls(roots)?) },
        })
    }

    /// Sends one message and waits for the answer, all within `limit`.
    pub(super) async fn send(
        &self,
        target: &Target,
        (id, body): (Uuid, Bytes),
        fence: &dyn Fence,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let deadline = Instant::now() + limit.min(LONGEST);
        let ready = async {
            let keys = self.keys.as_ref().ok_or_else(|| refused(NO_SECRET))?;
            let stream = self.connect(target).await?;
            let request = request(target, keys, id, body)?;
            Ok((stream, request, fence.pass().await?))
        };
        let (stream, request, passing) = by(deadline, ready).await?;
        exchange(stream, request, passing, deadline).await
    }

    async fn connect(&self, target: &Target) -> Result<Stream, NotSent> {
        let unreachable = |what: &str, error: io::Error| NotSent::Unreachable(format!("{target} {what}: {error}"));
        let found = target.resolve(LOOKUP).await;
        let found = found.map_err(|error| unreachable("cannot be looked up", error))?;
        let judged = target.judge(&found, &self.allowed).map_err(refused)?;
        let deadline = Instant::now() + CONNECT;
        let tcp = dial(&judged, deadline).await;
        let tcp = tcp.map_err(|error| unreachable("cannot be connected to", error))?;
        if !target.is_encrypted() {
            return Ok(Stream::Plain(tcp));
        }
        let tls = self.tls.as_ref().ok_or_else(|| refused(NO_AUTHORITIES))?;
        let name = target
            .server_name()
            .ok_or_else(|| refused("no certificate can have the name of this webhook"))?;
        let handshake = timeout_at(deadline, tls.connect(name, tcp)).await;
        let stream = handshake.unwrap_or_else(|late| Err(late.into()));
        let stream = stream.map_err(|error| unreachable("cannot be trusted", error))?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}

const NO_SECRET: &str = "requests to webhooks are signed: set STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET, such as to whsec_ and the output \
                         of `openssl rand -base64 32`";

const NO_AUTHORITIES: &str =
    "https needs certificate authorities, and the operating system has none; SSL_CERT_FILE may name some";

fn refused(reason: impl fmt::Display) -> NotSent {
    NotSent::Refused(reason.to_string())
}

/// One address after the other; each has an equal part of the time that is left.
async fn dial(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let count = addresses.len().min(DIALLED);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for (index, address) in addresses.iter().take(count).enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(count - index).unwrap_or(1);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(late) => last = late.into(),
        }
    }
    Err(last)
}

fn request(target: &Target, keys: &Keys, id: Uuid, body: Bytes) -> Result<Request<Bytes>, NotSent> {
    let now = Timestamp::now();
    let signature = HeaderValue::try_from(keys.sign(id, now, &body)).map_err(refused)?;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.path().clone();
    let headers = request.headers_mut();
    headers.insert(HOST, target.authority().clone());
    headers.insert(CONNECTION, CLOSE);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ACCEPT, JSON);
    headers.insert(USER_AGENT, PROGRAM);
    headers.insert(ID, HeaderValue::try_from(id.to_string()).map_err(refused)?);
    headers.insert(TIMESTAMP, HeaderValue::from(now.as_second()));
    headers.insert(SIGNATURE, signature);
    Ok(request)
}

fn tls(roots: RootCertStore) -> Result<TlsConnector, rustls::Error> {
    // The provider is named here, so that no process-wide default has to be installed.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

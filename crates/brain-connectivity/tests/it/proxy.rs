//! A TLS front for a plain PostgreSQL server, with a certificate of this run's own.
//!
//! It speaks what a server with `ssl = on` speaks before the handshake, so that TLS can be tested with a server that
//! was built without it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The request with which a client asks for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// How the front treats who asks for TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Grants it.
    Tls,
    /// Says that it has none.
    Plain,
    /// Grants it and then talks nonsense.
    Broken,
}

/// A running front.
pub(crate) struct Proxy {
    /// Where it listens, on 127.0.0.1 and on localhost.
    pub(crate) port: u16,
    /// The authority of its certificate, in PEM form.
    pub(crate) authority: PathBuf,
    encrypted: Arc<AtomicUsize>,
    plain: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts a front of the server on `upstream`, with a certificate for `localhost` only.
    pub(crate) async fn start(upstream: u16, manner: Manner) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (acceptor, authority) = identity();
        let path = folder.path().join("authority.pem");
        std::fs::write(&path, authority).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            authority: path,
            encrypted: Arc::default(),
            plain: Arc::default(),
            _folder: folder,
        };
        let (encrypted, plain) = (Arc::clone(&proxy.encrypted), Arc::clone(&proxy.plain));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, encrypted, plain) = (acceptor.clone(), Arc::clone(&encrypted), Arc::clone(&plain));
                tokio::spawn(async move {
                    // A client that gives up is part of what is tested.
                    let _ = serve(stream, upstream, manner, &acceptor, &encrypted, &plain).await;
                });
            }
        });
        proxy
    }

    /// How many sessions were encrypted, and how many were not.
    pub(crate) fn sessions(&self) -> (usize, usize) {
        (self.encrypted.load(Ordering::SeqCst), self.plain.load(Ordering::SeqCst))
    }
}

async fn serve(
    mut client: TcpStream,
    upstream: u16,
    manner: Manner,
    acceptor: &TlsAcceptor,
    encrypted: &AtomicUsize,
    plain: &AtomicUsize,
) -> std::io::Result<()> {
    let mut first = [0; 8];
    client.read_exact(&mut first).await?;
    if first == SSL_REQUEST {
        match manner {
            Manner::Tls => {
                client.write_all(b"S").await?;
                let mut client = acceptor.accept(client).await?;
                encrypted.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
                copy_bidirectional(&mut client, &mut server).await?;
                return Ok(());
            }
            Manner::Plain => {
                client.write_all(b"N").await?;
                client.read_exact(&mut first).await?;
            }
            Manner::Broken => return client.write_all(b"Snot a handshake").await,
        }
    }
    plain.fetch_add(1, Ordering::SeqCst);
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    server.write_all(&first).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// A server that proves to be `localhost`, and the authority that vouches for it.
fn identity() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
    let certificate = params.signed_by(&key, &authority).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

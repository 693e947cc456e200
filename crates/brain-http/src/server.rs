//! The server: a socket, its connections, and an orderly end.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::App,
    connection::{Phase, Protocol},
    exchange::Exchange,
    services::Services,
};

/// Connections that may wait in the kernel to be accepted.
const BACKLOG: u32 = 1024;
/// How long to wait when the process has no descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections get to go away once they were told to, before the server stops waiting for them.
const CLOSE_GRACE: Duration = Duration::from_millis(500);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program listens there.
    #[error(
        "port {port} on {host} is taken by another program: stop it, or set STUDIO_BRAIN_PORT to a free port (0 takes any)"
    )]
    PortTaken {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The host is not an address of this machine.
    #[error("cannot listen on {host}: it is not an address of this machine; correct STUDIO_BRAIN_HOST")]
    NotHere {
        /// The host.
        host: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Others could reach the server, and nothing would protect it.
    #[error(
        "{host} can be reached by other machines: set STUDIO_BRAIN_ADMIN_TOKEN, STUDIO_BRAIN_AUTH_REQUIRED=true or STUDIO_BRAIN_OIDC_ISSUERS, or STUDIO_BRAIN_HOST to 127.0.0.1"
    )]
    Unprotected {
        /// The host.
        host: String,
    },
    /// Anything else.
    #[error("cannot listen on {host} port {port} (STUDIO_BRAIN_HOST, STUDIO_BRAIN_PORT)")]
    Listen {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    exchange: Arc<Exchange>,
    app: Arc<App>,
    protocol: Arc<Protocol>,
    slots: Arc<Semaphore>,
    drain_timeout: Duration,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Takes the socket; connections wait there until [`Server::run`]. Must be called within a Tokio runtime, and after
    /// the recorder of the `metrics` facade is installed, if there is to be one.
    ///
    /// # Errors
    /// [`Error`] names the setting to change.
    pub fn bind(config: &brain_config::Server, services: Services) -> Result<Self, Error> {
        let (listener, address) = listen(config)?;
        let app = Arc::new(App::new(config, services));
        Ok(Self {
            listener,
            address,
            exchange: Arc::new(Exchange::new(Arc::clone(&app))),
            app,
            protocol: Arc::new(Protocol::new(config.header_timeout)),
            slots: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
            drain_timeout: config.drain_timeout,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`; then accepts no more, lets what runs finish for the drain time-out, and closes.
    pub async fn run(self, shutdown: CancellationToken) {
        let (phase, watched) = watch::channel(Phase::Open);
        let connections = TaskTracker::new();
        while let Some((stream, permit)) = self.accept(&shutdown).await {
            // Answers are small; waiting to fill a packet would only delay them.
            let _ = stream.set_nodelay(true);
            let (protocol, exchange) = (Arc::clone(&self.protocol), Arc::clone(&self.exchange));
            let (watched, open) = (watched.clone(), self.app.metrics.connections.clone());
            connections.spawn(async move {
                open.increment(1);
                protocol.serve(exchange, stream, watched, permit).await;
                open.decrement(1);
            });
        }
        drop(self.listener);
        self.app.draining.cancel();
        drain(&phase, connections, &self.app.detached, self.drain_timeout).await;
    }

    /// The next connection with its place among the connections; none when it is time to stop.
    async fn accept(&self, shutdown: &CancellationToken) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        if self.slots.available_permits() == 0 {
            tracing::warn!("all http connections are in use, others wait (STUDIO_BRAIN_HTTP_MAX_CONNECTIONS)");
            self.app.metrics.accept_pauses.increment(1);
        }
        let permit = tokio::select! {
            () = shutdown.cancelled() => return None,
            permit = Arc::clone(&self.slots).acquire_owned() => permit.ok()?,
        };
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return None,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "accepting a connection failed, it is tried again");
                    tokio::select! {
                        () = shutdown.cancelled() => return None,
                        () = sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
    }
}

fn listen(config: &brain_config::Server) -> Result<(TcpListener, SocketAddr), Error> {
    let (host, port) = (
        config.host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        config.port,
    );
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken {
            host: host.clone(),
            port,
        },
        io::ErrorKind::AddrNotAvailable => Error::NotHere {
            host: host.clone(),
            source,
        },
        _ => Error::Listen {
            host: host.clone(),
            port,
            source,
        },
    };
    let addresses = (host.as_str(), port)
        .to_socket_addrs()
        .map_err(|source| Error::NotHere {
            host: host.clone(),
            source,
        })?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        if !config.needs_credentials() && !address.ip().to_canonical().is_loopback() {
            return Err(Error::Unprotected { host });
        }
        match listen_on(address) {
            Ok(listener) => return listener.local_addr().map(|address| (listener, address)).map_err(failed),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A server that is started again must not wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether only that one connection failed.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

async fn drain(phase: &watch::Sender<Phase>, connections: TaskTracker, detached: &TaskTracker, limit: Duration) {
    let begun = Instant::now();
    let deadline = begun + limit;
    connections.close();
    detached.close();
    phase.send_replace(Phase::Draining);
    let drained = timeout_at(deadline, async {
        connections.wait().await;
        detached.wait().await;
    });
    let finished = drained.await.is_ok();
    let (cut, running) = (connections.len(), detached.len());
    phase.send_replace(Phase::Closing);
    let _ = timeout_at(Instant::now() + CLOSE_GRACE, connections.wait()).await;
    let duration_ms = begun.elapsed().as_millis() as u64;
    if finished {
        tracing::info!(duration_ms, "http server drained");
    } else {
        tracing::warn!(
            duration_ms,
            connections.cut = cut,
            changes.running = running,
            "http server stopped before all was finished (STUDIO_BRAIN_SHUTDOWN_TIMEOUT_MS)"
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn config() -> brain_config::Server {
        let mut config = brain_config::Config::defaults().server;
        config.port = 0;
        config
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_remedy() {
        let (first, address) = listen(&config()).unwrap();
        let problem = listen(&brain_config::Server {
            port: address.port(),
            ..config()
        })
        .unwrap_err();
        assert!(
            matches!(problem, Error::PortTaken { port, .. } if port == address.port()),
            "{problem}"
        );
        assert!(problem.to_string().contains("STUDIO_BRAIN_PORT"));
        drop(first);
    }

    #[tokio::test]
    async fn without_a_token_it_stays_on_this_machine() {
        for host in ["0.0.0.0", "::", "192.0.2.1"] {
            let config = brain_config::Server {
                host: host.to_owned(),
                admin_token: None,
                ..config()
            };
            assert!(matches!(listen(&config), Err(Error::Unprotected { .. })), "{host}");
        }
        let elsewhere = brain_config::Server {
            host: "192.0.2.1".to_owned(),
            admin_token: Some("token".into()),
            ..config()
        };
        assert!(matches!(listen(&elsewhere), Err(Error::NotHere { .. })));
    }

    #[tokio::test]
    async fn names_and_both_families_are_listened_on() {
        for host in ["localhost", "127.0.0.1"] {
            let config = brain_config::Server {
                host: host.to_owned(),
                ..config()
            };
            assert!(listen(&config).unwrap().1.ip().is_loopback());
        }
    }
}

//! A TCP proxy between one replica and one of its servers, to cut, stall or refuse its connections.
//!
//! A stalled connection stays open and no byte passes; none is lost when it goes on. A cut ends with a reset, as
//! when the other machine has forgotten the connection.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Everything.
    Pass,
    /// Connections are taken, no byte moves.
    Stall,
    /// New connections are reset at once.
    Refuse,
}

#[derive(Debug, Clone, Copy)]
struct Orders {
    manner: Manner,
    /// Grows with each cut; a connection lives in the era of its beginning.
    era: u64,
}

/// A running proxy. Dropping it ends it and its connections.
#[derive(Debug)]
pub(super) struct Proxy {
    port: u16,
    orders: watch::Sender<Orders>,
}

impl Proxy {
    /// Starts a proxy of the server on `upstream`.
    pub(super) async fn start(upstream: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot listen for a proxy")?;
        let port = listener.local_addr().context("a proxy has no address")?.port();
        let (orders, heard) = watch::channel(Orders {
            manner: Manner::Pass,
            era: 0,
        });
        tokio::spawn(accept(listener, upstream, heard));
        Ok(Self { port, orders })
    }

    /// Where it listens, on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What passes from now on.
    pub(super) fn set(&self, manner: Manner) {
        self.orders.send_modify(|orders| orders.manner = manner);
    }

    /// Resets every connection that is open now.
    pub(super) fn cut(&self) {
        self.orders.send_modify(|orders| orders.era += 1);
    }
}

async fn accept(listener: TcpListener, upstream: u16, mut orders: watch::Receiver<Orders>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // The descriptors may run out for a moment; whoever connects tries again.
                let Ok((client, _)) = accepted else { continue };
                let now = *orders.borrow();
                if now.manner == Manner::Refuse {
                    reset(&client);
                    continue;
                }
                tokio::spawn(serve(client, upstream, orders.clone(), now.era));
            }
            changed = orders.changed() => if changed.is_err() { return },
        }
    }
}

async fn serve(mut client: TcpStream, upstream: u16, mut orders: watch::Receiver<Orders>, era: u64) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await else {
        reset(&client);
        return;
    };
    // Small messages must not wait for each other; without it the proxy would be slow, not wrong.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = pump(from_client, to_server, orders.clone());
        let back = pump(from_server, to_client, orders.clone());
        tokio::select! {
            // Whoever ends its side wants no more of the other's in the protocols that pass here.
            _ = there => false,
            _ = back => false,
            _ = orders.wait_for(|orders| orders.era != era) => true,
        }
    };
    if cut {
        reset(&client);
        reset(&server);
    }
}

/// Hands on what comes until either side ends.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut orders: watch::Receiver<Orders>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        let passes = orders.wait_for(|orders| orders.manner != Manner::Stall).await.is_ok();
        if count == 0 || !passes || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Has the kernel answer with a reset when the connection is dropped.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        port
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await.unwrap()
    }

    async fn say(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_all(&[7]).await?;
        stream.read_u8().await
    }

    /// A new connection that says something, which may be reset as early as it is made.
    async fn say_once(proxy: &Proxy) -> std::io::Result<u8> {
        say(&mut TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await?).await
    }

    #[tokio::test]
    async fn a_stall_holds_bytes_back_and_loses_none() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = connect(&proxy).await;
        assert_eq!(say(&mut stream).await.unwrap(), 7);
        proxy.set(Manner::Stall);
        stream.write_all(&[1, 2]).await.unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
        assert!(silence.is_err(), "{silence:?}");
        proxy.set(Manner::Pass);
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        assert_eq!(stream.read_u8().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_cut_resets_what_is_open_and_lets_new_connections_pass() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = connect(&proxy).await;
        assert_eq!(say(&mut stream).await.unwrap(), 7);
        proxy.cut();
        let ended = stream.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(say_once(&proxy).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_cut_ends_what_is_stalled_and_who_is_refused_hears_so() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        proxy.set(Manner::Stall);
        let mut stream = connect(&proxy).await;
        stream.write_all(&[1]).await.unwrap();
        proxy.set(Manner::Refuse);
        proxy.cut();
        assert!(say_once(&proxy).await.is_err());
        proxy.set(Manner::Pass);
        assert_eq!(say_once(&proxy).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_server_that_is_away_ends_the_connection() {
        let away = brain_devstack::free_port().unwrap();
        let proxy = Proxy::start(away).await.unwrap();
        assert!(say_once(&proxy).await.is_err());
    }
}

//! A door between a replica and a server: open, or nothing passes.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// A door; dropping it ends it and what goes through it.
pub(crate) struct Door {
    pub(crate) port: u16,
    open: watch::Sender<bool>,
}

impl Door {
    /// An open door to a server of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let door = listener.local_addr().unwrap().port();
        let (open, is_open) = watch::channel(true);
        tokio::spawn(async move {
            let mut is_open = is_open;
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { continue };
                        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { continue };
                        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                        tokio::spawn(pass(from_client, to_server, is_open.clone()));
                        tokio::spawn(pass(from_server, to_client, is_open.clone()));
                    }
                    changed = is_open.changed() => if changed.is_err() { return },
                }
            }
        });
        Self { port: door, open }
    }

    /// Connections stay and no byte passes.
    pub(crate) fn shut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_open: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if is_open.wait_for(|open| *open).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

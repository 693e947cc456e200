//! Bytes between a program and the host that it was let through to.
//!
//! Invariant: a connection over which nothing has moved for the idle time ends within twice that time.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// Size of the buffer of one direction.
const BUFFER_BYTES: usize = 16 << 10;

/// Relays both directions until both have ended, one fails, or nothing moves any more.
pub(super) async fn tunnel(program: TcpStream, host: TcpStream, idle: Duration) {
    let moved = AtomicU64::new(0);
    let (mut from_program, mut to_program) = program.into_split();
    let (mut from_host, mut to_host) = host.into_split();
    let there = pump(&mut from_program, &mut to_host, &moved);
    let back = pump(&mut from_host, &mut to_program, &moved);
    tokio::select! {
        _ = async { tokio::try_join!(there, back) } => {}
        () = stillness(&moved, idle) => {}
    }
}

/// Relays one answer, and tells once when the program sends anything more than its request.
pub(super) async fn answer(program: TcpStream, host: TcpStream, idle: Duration, extra: impl FnOnce()) {
    let moved = AtomicU64::new(0);
    let (mut from_program, mut to_program) = program.into_split();
    let (mut from_host, _to_host) = host.into_split();
    let back = pump(&mut from_host, &mut to_program, &moved);
    // What comes is read all the same: unread bytes would turn the end of the connection into a reset, and lose the answer.
    let more = async {
        let mut extra = Some(extra);
        let mut buffer = [0; 1024];
        while let Ok(1..) = from_program.read(&mut buffer).await {
            if let Some(extra) = extra.take() {
                extra();
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = back => {}
        () = more => {}
        () = stillness(&moved, idle) => {}
    }
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    moved: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        moved.fetch_add(1, Ordering::Relaxed);
        to.write_all(&buffer[..count]).await?;
        moved.fetch_add(1, Ordering::Relaxed);
    }
}

async fn stillness(moved: &AtomicU64, idle: Duration) {
    let mut before = moved.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(idle).await;
        let now = moved.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}

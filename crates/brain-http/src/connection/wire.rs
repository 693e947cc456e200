//! The bytes of a connection: counted, closed with care, and completed where hyper answers by itself.
//!
//! hyper refuses what it cannot parse with a bare status line. A client of this server is promised the same headers and a
//! problem document on every answer, so such a status line is replaced on its way out.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::Peer;
use crate::exchange::Exchange;

/// How long the rest of what a peer sends is read and thrown away, so that it gets to read its answer.
const LINGER: Duration = Duration::from_secs(2);
/// hyper's own answers are shorter than this.
const MAX_BARE_BYTES: usize = 256;

/// A TCP stream under hyper.
pub(super) struct Wire {
    stream: TcpStream,
    peer: Arc<Peer>,
    exchange: Arc<Exchange>,
    /// A completed refusal that is being written in place of hyper's.
    refusal: Option<(Vec<u8>, usize)>,
    closing: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, peer: Arc<Peer>, exchange: Arc<Exchange>) -> Self {
        Self {
            stream,
            peer,
            exchange,
            refusal: None,
            closing: None,
        }
    }

    fn poll_refusal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((bytes, sent)) = &mut self.refusal {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[*sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += written;
            if *sent == bytes.len() {
                self.refusal = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes over when these bytes are a bare refusal; says how many they were.
    fn replace(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Option<Poll<io::Result<usize>>> {
        let status = bare_refusal(bytes)?;
        self.refusal = Some((self.exchange.refusal(status), 0));
        self.peer.lingers();
        // What does not go out at once goes out when hyper flushes.
        Some(match self.poll_refusal(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
        })
    }

    fn counted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.peer.written.fetch_add(bytes as u64, Relaxed);
        }
        written
    }

    /// Reads what still comes until the peer closes or the time is over.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut waste = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut waste);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        match &mut self.closing {
            Some(over) => over.as_mut().poll(context),
            None => Poll::Ready(()),
        }
    }
}

/// The status of an answer that hyper made by itself. Every other answer carries the security headers.
fn bare_refusal(bytes: &[u8]) -> Option<u16> {
    const MARK: &[u8] = b"x-content-type-options";
    if bytes.len() > MAX_BARE_BYTES || !bytes.starts_with(b"HTTP/1.1 4") || !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    if bytes.windows(MARK.len()).any(|window| window == MARK) {
        return None;
    }
    std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.peer
            .read
            .fetch_add((buffer.filled().len() - before) as u64, Relaxed);
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_refusal(context))?;
        if let Some(replaced) = self.replace(bytes, context) {
            return replaced;
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.counted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_refusal(context))?;
        if let [only] = slices
            && let Some(replaced) = self.replace(only, context)
        {
            return replaced;
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.counted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            if !self.peer.lingers.load(Relaxed) {
                return Poll::Ready(Ok(()));
            }
            self.closing = Some(Box::pin(sleep(LINGER)));
        }
        self.poll_linger(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hypers_own_refusals_are_bare() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal(bare), Some(431));
        let ours = b"HTTP/1.1 400 Bad Request\r\nx-content-type-options: nosniff\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal(ours), None);
        for other in [
            b"HTTP/1.1 200 OK\r\n\r\n".as_slice(),
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"",
            b"HTTP/1.1 4",
            b"{}",
        ] {
            assert_eq!(bare_refusal(other), None);
        }
    }
}

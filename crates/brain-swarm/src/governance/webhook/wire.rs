//! The bytes to and from a webhook, metered: when all of a request has left, and how much of an answer came.
//!
//! Invariants: a request that did not leave whole is cut off with a reset, so that nothing of it leaves later; no more is read
//! than was granted.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};
use tokio_rustls::client::TlsStream;

/// A connection that is up, with TLS where the URL says so.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Whether the other side still waits for what it will be asked.
    ///
    /// # Errors
    /// What it did instead, as far as that is known by now.
    pub(super) fn waits(&mut self) -> Result<(), &'static str> {
        match self.read(&mut [0]).now_or_never() {
            None => Ok(()),
            Some(Ok(1..)) => Err("it spoke before it was asked"),
            Some(_) => Err("it closed the connection before it was asked"),
        }
    }
}

macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Plain($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
            Stream::Tls($inner) => {
                let $inner = Pin::new($inner.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => stream.poll_read(cx, buf))
    }
}

/// What is known of an exchange while it goes on.
#[derive(Debug)]
pub(super) struct Meter {
    /// Something was given to the connection: from here on nobody knows what the other side has.
    touched: AtomicBool,
    /// The whole body was taken from the request.
    taken: AtomicBool,
    /// The whole request was handed to the operating system.
    sent: AtomicBool,
    /// Bytes that may still be read.
    granted: AtomicUsize,
    left: Notify,
}

impl Meter {
    /// A meter that grants so many bytes to be read.
    pub(super) fn new(granted: usize) -> Arc<Self> {
        Arc::new(Self {
            touched: AtomicBool::new(false),
            taken: AtomicBool::new(false),
            sent: AtomicBool::new(false),
            granted: AtomicUsize::new(granted),
            left: Notify::new(),
        })
    }

    pub(super) fn touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }

    pub(super) fn sent(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }

    /// More was read than was granted.
    pub(super) fn exceeded(&self) -> bool {
        self.granted.load(Ordering::Acquire) == 0
    }

    /// Grants so many bytes from here on.
    pub(super) fn grant(&self, bytes: usize) {
        self.granted.store(bytes, Ordering::Release);
    }

    /// The body has been taken: what is flushed after this is the end of the request.
    pub(super) fn take(&self) {
        self.taken.store(true, Ordering::Release);
    }

    /// Waits until the whole request has been handed to the operating system.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }

    fn flushed(&self) {
        if self.taken.load(Ordering::Acquire) && !self.sent.swap(true, Ordering::AcqRel) {
            self.left.notify_one();
        }
    }

    /// Counts what was read.
    fn read(&self, bytes: usize) -> io::Result<()> {
        let granted = self.granted.load(Ordering::Acquire);
        self.granted.store(granted.saturating_sub(bytes), Ordering::Release);
        if bytes < granted {
            return Ok(());
        }
        Err(io::Error::other("the answer is too long"))
    }
}

/// A connection with its meter.
pub(super) struct Wire {
    pub(super) stream: Stream,
    pub(super) meter: Arc<Meter>,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = &read
            && buf.filled().len() > before
        {
            self.meter.read(buf.filled().len() - before)?;
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.meter.touched.store(true, Ordering::Release);
        either!(&mut self.stream, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.meter.touched.store(true, Ordering::Release);
        either!(&mut self.stream, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = either!(&mut self.stream, stream => stream.poll_flush(cx));
        if let Poll::Ready(Ok(())) = flushed {
            self.meter.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.stream, stream => stream.poll_shutdown(cx))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Otherwise the operating system would go on sending what it has, after the fence has been let go.
        if self.meter.touched() && !self.meter.sent() {
            let _ = self.stream.tcp().set_zero_linger();
        }
    }
}

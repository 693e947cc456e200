//! An HTTP/1.1 connection that costs as little as it can: generator and server share the cores, and what the generator takes
//! the server lacks. It understands what the servers of the benchmarks answer: a status, headers, a body of known length.

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const READ: usize = 16 * 1024;

/// A connection that is kept alive.
pub(super) struct Connection {
    stream: TcpStream,
    host: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    /// `url`: scheme, host and port.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let host = url.strip_prefix("http://").context("a url that starts with http://")?;
        let stream = TcpStream::connect(host)
            .await
            .with_context(|| format!("cannot connect to {host}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: host.to_owned(),
            request: Vec::new(),
            answer: Vec::with_capacity(READ),
        })
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<(u16, &[u8])> {
        self.begin("GET", path);
        self.request.extend_from_slice(b"\r\n");
        self.exchange().await
    }

    pub(super) async fn post(&mut self, path: &str, body: &[u8]) -> Result<(u16, &[u8])> {
        self.begin("POST", path);
        self.request
            .extend_from_slice(b"content-type: application/json\r\ncontent-length: ");
        self.request.extend_from_slice(body.len().to_string().as_bytes());
        self.request.extend_from_slice(b"\r\n\r\n");
        self.request.extend_from_slice(body);
        self.exchange().await
    }

    fn begin(&mut self, method: &str, path: &str) {
        self.request.clear();
        for part in [method, " ", path, " HTTP/1.1\r\nhost: ", &self.host, "\r\n"] {
            self.request.extend_from_slice(part.as_bytes());
        }
    }

    async fn exchange(&mut self) -> Result<(u16, &[u8])> {
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(head) = Head::of(&self.answer)?
                && self.answer.len() >= head.bytes + head.body
            {
                return Ok((head.status, &self.answer[head.bytes..head.bytes + head.body]));
            }
        }
    }

    /// Status and body of the newest answer.
    pub(super) fn newest(&self) -> Result<(u16, &[u8])> {
        let head = Head::of(&self.answer)?.context("nothing was answered yet")?;
        Ok((head.status, &self.answer[head.bytes..]))
    }

    /// The head of the newest answer, as the server sent it.
    pub(super) fn head(&self) -> String {
        let end = end_of_head(&self.answer).unwrap_or(0);
        String::from_utf8_lossy(&self.answer[..end]).into_owned()
    }
}

/// What must be known of an answer to find its end.
struct Head {
    status: u16,
    bytes: usize,
    body: usize,
}

impl Head {
    /// `None` while the head is not complete.
    fn of(answer: &[u8]) -> Result<Option<Self>> {
        let Some(bytes) = end_of_head(answer) else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&answer[..bytes]).context("the head of an answer")?;
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let length = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let value = name.eq_ignore_ascii_case("content-length").then_some(value)?;
            value.trim().parse().ok()
        });
        Ok(Some(Self {
            status: status.context("an answer without a status")?,
            bytes,
            body: length.context("an answer that does not say how long it is")?,
        }))
    }
}

fn end_of_head(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

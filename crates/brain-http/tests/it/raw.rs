//! A client that sends exactly the bytes it is told to.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Raw {
    stream: TcpStream,
    /// What has arrived and was not asked for yet.
    ahead: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            ahead: Vec::new(),
        }
    }

    /// Sends; a server that has closed meanwhile is no failure of the sender.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    pub(crate) async fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
            .await
            .unwrap();
    }

    /// One answer: its head, and its body by the announced length.
    pub(crate) async fn answer(&mut self) -> String {
        timeout(LIMIT, self.read_answer()).await.expect("an answer in time")
    }

    async fn read_answer(&mut self) -> String {
        let head = loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                break end + 4;
            }
            assert_ne!(
                self.read_more().await.unwrap(),
                0,
                "closed without an answer: {:?}",
                self.text()
            );
        };
        let text = String::from_utf8(self.ahead[..head].to_vec()).unwrap();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |n| n.parse().unwrap());
        while self.ahead.len() < head + length {
            assert_ne!(self.read_more().await.unwrap(), 0, "closed in the middle of a body");
        }
        let rest = self.ahead.split_off(head + length);
        String::from_utf8(std::mem::replace(&mut self.ahead, rest)).unwrap()
    }

    /// Everything until the server closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        timeout(LIMIT, async {
            while self.read_more().await.is_ok_and(|read| read > 0) {}
        })
        .await
        .expect("the server closes in time");
        std::mem::take(&mut self.ahead)
    }

    /// Reads until these bytes have come; what comes before and with them is returned.
    pub(crate) async fn until(&mut self, found: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let read = async {
            while !found(&self.ahead) {
                assert_ne!(
                    self.read_more().await.unwrap(),
                    0,
                    "closed before it came: {:?}",
                    self.ahead
                );
            }
        };
        timeout(LIMIT, read).await.expect("it comes in time");
        std::mem::take(&mut self.ahead)
    }

    async fn read_more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.ahead).await
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.ahead).into_owned()
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

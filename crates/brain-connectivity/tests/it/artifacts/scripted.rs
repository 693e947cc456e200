//! A server that plays a script: one reply for each request, and a record of what was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use brain_config::Config;
use brain_connectivity::artifacts::ArtifactStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pieces: Vec<Vec<u8>>,
    pause: Duration,
    stall: bool,
}

impl Reply {
    /// An answer with these headers (lines that end in `\r\n`) and this body.
    pub(crate) fn new(status: u16, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        Self {
            pieces: vec![[head.as_bytes(), body].concat()],
            pause: Duration::ZERO,
            stall: false,
        }
    }

    /// An S3 error document.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::new(
            status,
            "",
            format!("<Error><Code>{code}</Code><Message>Scripted.</Message></Error>").as_bytes(),
        )
    }

    /// Without its last bytes; then the connection ends.
    pub(crate) fn cut_by(mut self, bytes: usize) -> Self {
        let mut whole = self.pieces.concat();
        whole.truncate(whole.len() - bytes);
        self.pieces = vec![whole];
        self
    }

    /// Its last bytes one by one, with a pause before each.
    pub(crate) fn dripping(mut self, bytes: usize, pause: Duration) -> Self {
        let mut head = self.pieces.concat();
        let drops = head.split_off(head.len() - bytes);
        self.pieces = vec![head];
        self.pieces.extend(drops.into_iter().map(|byte| vec![byte]));
        self.pause = pause;
        self
    }

    /// Nothing at all, on a connection that stays.
    pub(crate) fn silence() -> Self {
        Self {
            pieces: Vec::new(),
            pause: Duration::ZERO,
            stall: true,
        }
    }

    /// After its bytes nothing comes, but the connection stays.
    pub(crate) fn then_stall(mut self) -> Self {
        self.stall = true;
        self
    }
}

/// The running server; ends when dropped.
pub(crate) struct Scripted {
    requests: Arc<Mutex<Vec<String>>>,
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Scripted {
    /// Plays `script`; after its end every connection is closed without an answer.
    pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut script: Vec<Reply> = script.into_iter().collect();
        script.reverse();
        let script = Arc::new(Mutex::new(script));
        let record = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(play(stream, Arc::clone(&script), Arc::clone(&record)));
            }
        });
        Self { requests, port, task }
    }

    /// A store on this server whose time-out is `patience`.
    pub(crate) fn store(&self, patience: Duration) -> ArtifactStore {
        let mut settings = Config::defaults().artifacts;
        settings.endpoint = format!("http://127.0.0.1:{}", self.port).parse().unwrap();
        settings.bucket = "b".to_owned();
        settings.timeout = patience;
        ArtifactStore::open(&settings).unwrap()
    }

    /// Method and target of every request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(mut stream: TcpStream, script: Arc<Mutex<Vec<Reply>>>, record: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        record.lock().unwrap().push(request);
        let Some(reply) = script.lock().unwrap().pop() else {
            return;
        };
        let whole = reply.pieces.concat();
        for piece in reply.pieces {
            if stream.write_all(&piece).await.is_err() {
                return;
            }
            tokio::time::sleep(reply.pause).await;
        }
        if reply.stall {
            std::future::pending::<()>().await;
        }
        // A reply that was cut short ends the connection; so does one that announced more than it has.
        if !is_complete(&whole) {
            return;
        }
    }
}

fn is_complete(reply: &[u8]) -> bool {
    let text = String::from_utf8_lossy(reply);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    reply.len() >= head.len() + 4 + content_length(head)
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut body = vec![0; content_length(&head)];
    stream.read_exact(&mut body).await.ok()?;
    let line = head.lines().next()?;
    line.strip_suffix(" HTTP/1.1").map(str::to_owned)
}

fn content_length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().map_or(0, |(_, value)| value.trim().parse().unwrap())
}

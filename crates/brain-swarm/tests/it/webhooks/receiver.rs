//! A receiver made of raw sockets that does whatever a test wants of it, and a fence that keeps a record.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use brain_config::{Config, Webhooks};
use brain_swarm::{
    governance::{
        executor::{Executor as _, Fence, Kind, NotSent, Order, Outcome, Passing},
        webhook::{Client, Targets, WebhookExecutor, address::Target},
    },
    ids::{ActorId, TenantId},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use uuid::Uuid;

pub(super) const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
/// The bytes of it.
pub(super) const KEY: &[u8] = b"012345678901234567890123";

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value);
        let value = found.next();
        assert_eq!(found.next(), None, "{name} twice");
        value
    }
}

/// Reads one request; nothing when the connection ended before its end.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(head);
    let head = String::from_utf8(bytes).unwrap();
    let mut request = Request { head, body: Vec::new() };
    let length: usize = request.header("content-length").unwrap().parse().unwrap();
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    request.body = body;
    Some(request)
}

/// A server of one behaviour.
pub(super) struct Receiver {
    pub(super) port: u16,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Does this with every connection.
    pub(super) async fn new<F>(behaviour: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                open.spawn(behaviour(stream));
            }
        });
        Self {
            port,
            connections,
            task,
        }
    }

    /// Reads each request, keeps it, and answers with these bytes.
    pub(super) async fn answering(answer: &'static str) -> (Self, Arc<Mutex<Vec<Request>>>) {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let kept = Arc::clone(&requests);
        let receiver = Self::new(move |mut stream| {
            let kept = Arc::clone(&kept);
            async move {
                if let Some(request) = read(&mut stream).await {
                    kept.lock().unwrap().push(request);
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        })
        .await;
        (receiver, requests)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?token=secret", self.port)
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// When the fence was passed, and when it was let go.
type Record = Arc<Mutex<Vec<(Instant, Option<Instant>)>>>;

/// A fence that is open or closed, and knows when it was passed and let go.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) closed: bool,
    pub(super) slow: Duration,
    /// Its passings hold no longer by the time they are used.
    pub(super) stale: bool,
    pub(super) record: Record,
}

impl Gate {
    /// How long each passing was held; whoever asks does so when nothing may be held any more.
    pub(super) fn held(&self) -> Vec<Duration> {
        let record = self.record.lock().unwrap();
        let held = record.iter().map(|(from, to)| to.expect("it was let go") - *from);
        held.collect()
    }

    pub(super) fn passes(&self) -> usize {
        self.record.lock().unwrap().len()
    }
}

struct Held(Record, usize);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock().unwrap()[self.1].1 = Some(Instant::now());
    }
}

#[async_trait]
impl Fence for Gate {
    async fn pass(&self) -> Result<Passing, NotSent> {
        tokio::time::sleep(self.slow).await;
        if self.closed {
            return Err(NotSent::Stopped);
        }
        let mut record = self.record.lock().unwrap();
        record.push((Instant::now(), None));
        let held = Held(Arc::clone(&self.record), record.len() - 1);
        Ok(if self.stale {
            Passing::for_at_most(held, Duration::ZERO)
        } else {
            Passing::new(held)
        })
    }
}

/// Settings with a secret, and with these addresses allowed.
pub(super) fn settings(allowed: &[&str]) -> Webhooks {
    let mut settings = Config::defaults().webhooks;
    settings.signing_secret = Some(SECRET.into());
    settings.allowed_addresses = allowed.iter().map(|text| text.parse().unwrap()).collect();
    settings
}

pub(super) fn client() -> Client {
    Client::new(&settings(&["127.0.0.1/32"])).unwrap()
}

/// The executor of a capability with these URLs.
pub(super) fn webhook(client: Client, url: &str, rollback_url: Option<&str>) -> WebhookExecutor {
    let target = |url| Target::parse(url).unwrap();
    let targets = Targets {
        execute: target(url),
        rollback: rollback_url.map(target),
    };
    WebhookExecutor::new(client, targets)
}

pub(super) fn order() -> Order {
    Order {
        execution_id: Uuid::now_v7(),
        proposal_id: Uuid::now_v7(),
        tenant_id: TenantId::single(),
        capability_id: "mail.send".to_owned(),
        kind: Kind::Execute,
        actor_id: ActorId::new("agent-1").unwrap(),
        input: r#"{"to":"a@example.org","cents":1.10}"#.to_owned(),
        time_limit: Duration::from_secs(10),
    }
}

/// Carries out one order at a receiver with such a behaviour, and sees to it that the fence was passed once and held for a moment.
pub(super) async fn carry_out<F>(time_limit: Duration, behaviour: impl Fn(TcpStream) -> F + Send + 'static) -> Outcome
where
    F: Future<Output = ()> + Send + 'static,
{
    let receiver = Receiver::new(behaviour).await;
    let executor = webhook(client(), &receiver.url(), None);
    let (gate, started) = (Gate::default(), Instant::now());
    let order = Order { time_limit, ..order() };
    let outcome = executor.carry_out(&order, &gate).await;
    assert!(started.elapsed() < time_limit + Duration::from_secs(2), "{outcome:?}");
    assert_eq!((gate.passes(), receiver.connections()), (1, 1), "{outcome:?}");
    assert!(
        gate.held()[0] < Duration::from_millis(500),
        "{:?} {outcome:?}",
        gate.held()
    );
    assert!(!format!("{outcome:?}").contains("token=secret"), "{outcome:?}");
    outcome
}

/// What a receiver does after it has read a request.
pub(super) type Then = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The same with a receiver that reads the request first.
pub(super) async fn answered(limit: Duration, then: fn(TcpStream) -> Then) -> Outcome {
    carry_out(limit, move |mut stream| async move {
        if read(&mut stream).await.is_some() {
            then(stream).await;
        }
    })
    .await
}

//! Notices: stored with what they are about, delivered at least once, and once when nobody fails.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use brain_connectivity::retry::Backoff;
use brain_swarm::{
    governance::webhook::{
        address::Target,
        notices::{self, Handle, MOST_ATTEMPTS, Options, Pace, Service},
    },
    ids::TenantId,
};
use brain_testkit::eventually;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    expected,
    receiver::{KEY, Receiver, Request, client, read},
};
use crate::world::World;

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn pace() -> Pace {
    Pace {
        attempt: Duration::from_secs(2),
        lease: Duration::from_secs(3),
        backoff: Backoff {
            initial: Duration::from_millis(50),
            max: Duration::from_millis(100),
            factor: 2.0,
            jitter: 0.5,
        },
        ..Pace::default()
    }
}

fn service(world: &World, receiver: &Receiver, pace: Pace) -> (Service, Handle) {
    Service::new(Options {
        postgres: world.postgres.clone(),
        client: client(),
        target: Target::parse(&receiver.url()).unwrap(),
        pace,
    })
}

fn start(service: Service) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    (stop.clone(), tokio::spawn(service.run(stop)))
}

async fn queue(world: &World, handle: &Handle, number: usize) {
    let mut client = world.postgres.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let body = json!({"type": "proposal.parked", "number": number});
    let id = handle.queue(&transaction, &TenantId::single(), &body).await.unwrap();
    assert_eq!(id.is_some(), handle.is_on());
    transaction.commit().await.unwrap();
}

async fn stored(world: &World) -> i64 {
    world.count("SELECT count(*) FROM brain_webhook_deliveries").await
}

async fn delivered(world: &World) {
    eventually("no notice to be left", async || {
        (stored(world).await == 0).then_some(())
    })
    .await;
}

fn numbers(requests: &[Request]) -> Vec<u64> {
    let number = |request: &Request| serde_json::from_slice::<Value>(&request.body).unwrap()["number"].as_u64();
    let mut numbers: Vec<u64> = requests.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn a_notice_is_sent_at_once_and_signed() {
    let world = World::new().await;
    let (receiver, requests) = Receiver::answering(OK).await;
    let (service, handle) = service(&world, &receiver, pace());
    let (stop, task) = start(service);
    // What is rolled back is not told.
    {
        let mut client = world.postgres.client().await.unwrap();
        let transaction = client.transaction().await.unwrap();
        notices::queue(&transaction, &TenantId::single(), &json!({"number": 9}))
            .await
            .unwrap();
        transaction.rollback().await.unwrap();
    }
    queue(&world, &handle, 1).await;
    handle.ring();
    delivered(&world).await;
    let request = requests.lock().unwrap().remove(0);
    assert_eq!(numbers(std::slice::from_ref(&request)), [1]);
    assert_eq!(
        request.header("webhook-signature"),
        Some(expected(KEY, &request).as_str())
    );
    stop.cancel();
    task.await.unwrap();
    assert!(requests.lock().unwrap().is_empty());

    queue(&world, &Handle::off(), 2).await;
    assert_eq!(stored(&world).await, 0);
}

#[tokio::test]
async fn two_services_send_each_notice_once() {
    let world = World::new().await;
    let (receiver, requests) = Receiver::answering(OK).await;
    let (first, handle) = service(&world, &receiver, pace());
    let (second, other) = service(&world, &receiver, pace());
    for number in 0..100 {
        queue(&world, &handle, number).await;
    }
    let running = [start(first), start(second)];
    handle.ring();
    other.ring();
    delivered(&world).await;
    for (stop, task) in running {
        stop.cancel();
        task.await.unwrap();
    }
    assert_eq!(numbers(&requests.lock().unwrap()), (0..100).collect::<Vec<_>>());
}

/// The receiver answers an error, then nothing, then goes away: each time the notice is sent again, under the same id.
#[tokio::test]
async fn a_notice_is_sent_until_it_is_taken() {
    let world = World::new().await;
    let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
    let (kept, tries) = (Arc::clone(&requests), Arc::new(AtomicUsize::new(0)));
    let receiver = Receiver::new(move |mut stream| {
        let (kept, attempt) = (Arc::clone(&kept), tries.fetch_add(1, Ordering::SeqCst));
        async move {
            let request = read(&mut stream).await.unwrap();
            kept.lock().unwrap().push(request);
            match attempt {
                0 => stream
                    .write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
                    .await
                    .unwrap(),
                1 => tokio::time::sleep(Duration::from_secs(60)).await,
                2 => {}
                _ => stream.write_all(OK.as_bytes()).await.unwrap(),
            }
        }
    })
    .await;
    let (service, handle) = service(&world, &receiver, pace());
    queue(&world, &handle, 1).await;
    let (stop, task) = start(service);
    let error = eventually("an error to be stored", async || {
        let client = world.postgres.client().await.unwrap();
        let statement = "SELECT last_error FROM brain_webhook_deliveries WHERE tenant_id = 'default'";
        let row = client.query_opt(statement, &[]).await.unwrap()?;
        row.get::<_, Option<String>>(0)
    });
    assert!(error.await.contains("503"));
    delivered(&world).await;
    stop.cancel();
    task.await.unwrap();
    let requests = requests.lock().unwrap();
    let ids: Vec<_> = requests.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!(ids, [ids[0]; 4]);
}

/// What a replica had in its hands when it died is sent by another, once its lease has run out.
#[tokio::test]
async fn a_notice_survives_whoever_had_it() {
    let world = World::new().await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let receiver = Receiver::new(move |mut stream| {
        let attempt = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            read(&mut stream).await.unwrap();
            if attempt == 0 {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let (dying, handle) = service(&world, &receiver, pace());
    queue(&world, &handle, 1).await;
    let (_, task) = start(dying);
    eventually("the first attempt", async || {
        (tries.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(stored(&world).await, 1);

    let (next, _) = service(&world, &receiver, pace());
    let (stop, task) = start(next);
    delivered(&world).await;
    assert_eq!(tries.load(Ordering::SeqCst), 2);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_notice_that_nobody_takes_is_given_up() {
    let world = World::new().await;
    let (receiver, requests) = Receiver::answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
    let (service, handle) = service(&world, &receiver, pace());
    queue(&world, &handle, 1).await;
    world
        .sql(&format!(
            "UPDATE brain_webhook_deliveries SET attempts = {}",
            MOST_ATTEMPTS - 2
        ))
        .await;
    let (stop, task) = start(service);
    delivered(&world).await;
    stop.cancel();
    task.await.unwrap();
    assert_eq!(requests.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_look_that_finds_nothing_says_when_to_look_again() {
    let world = World::new().await;
    let (receiver, _) = Receiver::answering(OK).await;
    let (service, handle) = service(&world, &receiver, Pace::default());
    let look = service.look().await.unwrap();
    assert_eq!((look.delivered, look.next_in), (0, Duration::from_secs(30)));
    queue(&world, &handle, 1).await;
    world
        .sql("UPDATE brain_webhook_deliveries SET due_at = clock_timestamp() + interval '10 s'")
        .await;
    let look = service.look().await.unwrap();
    assert!(
        look.delivered == 0 && look.next_in > Duration::from_secs(5) && look.next_in <= Duration::from_secs(10),
        "{look:?}"
    );
    world
        .sql("UPDATE brain_webhook_deliveries SET due_at = clock_timestamp()")
        .await;
    assert_eq!(service.look().await.unwrap().delivered, 1);
    assert_eq!((stored(&world).await, receiver.connections()), (0, 1));
}

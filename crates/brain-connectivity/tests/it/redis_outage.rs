//! What clients do while their server is stopped, frozen, locked or not started yet, and afterwards.

use std::time::{Duration, Instant};

use brain_connectivity::redis::{Error, Redis};
use brain_testkit::{eventually, own_valkey, own_valkey_cluster, test_config};
use fred::interfaces::{ClientLike, KeysInterface, StreamsInterface};
use fred::types::Value;
use futures_util::future::join_all;

fn settings(port: u16) -> brain_config::Redis {
    let mut settings = test_config().redis;
    settings.port = port;
    settings.connect_timeout = Duration::from_millis(1_000);
    settings.command_timeout = Duration::from_millis(800);
    settings
}

async fn get(client: &fred::clients::Client, key: &str) -> Result<Option<String>, Error> {
    client.get(key).await.map_err(Error::from)
}

#[tokio::test]
async fn commands_fail_in_time_while_the_server_is_away_and_work_when_it_is_back() {
    let mut server = own_valkey().await;
    let redis = Redis::open(&settings(server.port())).unwrap();
    let dedicated = redis.dedicated().unwrap();
    redis.ping().await.unwrap();
    get(&dedicated, "k").await.unwrap();

    server.kill().await.unwrap();
    let started = Instant::now();
    let errors = join_all((0..50).map(|_| get(redis.commands(), "k"))).await;
    for error in errors {
        assert!(error.unwrap_err().retryable());
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let error = eventually("ping says why", async || match redis.ping().await {
        Err(Error::Unavailable { reason }) if reason.contains("refused") => Some(reason),
        _ => None,
    })
    .await;
    assert!(error.contains(&format!("127.0.0.1:{}", server.port())), "{error}");
    let started = Instant::now();
    redis.ping().await.unwrap_err();
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "a known outage is reported at once"
    );

    server.start_again().await.unwrap();
    eventually("commands work again", async || get(redis.commands(), "k").await.ok()).await;
    eventually("commands work again on the dedicated client", async || {
        get(&dedicated, "k").await.ok()
    })
    .await;
    redis.ping().await.unwrap();
}

#[tokio::test]
async fn a_blocking_reader_survives_a_restart_of_the_server() {
    let mut server = own_valkey().await;
    let redis = Redis::open(&settings(server.port())).unwrap();
    let reader = redis.dedicated().unwrap();
    let blocked = reader.clone();
    let reading = tokio::spawn(async move {
        let read: Result<Value, _> = blocked.xread(None, Some(9_000), "s", "0-0").await;
        read
    });
    eventually("the reader is connected and blocked", async || {
        let info: String = redis.commands().info(Some(fred::types::InfoKind::Clients)).await.ok()?;
        info.contains("blocked_clients:1").then_some(())
    })
    .await;
    server.kill().await.unwrap();
    // The loss is noticed at once, not after the block.
    let started = Instant::now();
    assert!(Error::from(reading.await.unwrap().unwrap_err()).retryable());
    assert!(started.elapsed() < Duration::from_secs(5));

    server.start_again().await.unwrap();
    eventually("the stream takes entries again", async || {
        let added: Result<String, _> = redis.commands().xadd("s", false, None, "*", ("f", "v")).await;
        added.ok()
    })
    .await;
    let read: Value = eventually("the reader reads again", async || {
        reader.xread(None, Some(1_000), "s", "0-0").await.ok()
    })
    .await;
    assert!(!read.is_null());
}

#[tokio::test]
async fn a_server_that_comes_later_is_found() {
    let mut server = own_valkey().await;
    server.stop().await.unwrap();
    let redis = Redis::open(&settings(server.port())).unwrap();
    let dedicated = redis.dedicated().unwrap();
    assert!(redis.ping().await.is_err());
    server.start_again().await.unwrap();
    eventually("commands work", async || get(redis.commands(), "k").await.ok()).await;
    eventually("commands work on the dedicated client", async || {
        get(&dedicated, "k").await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_frozen_server_costs_the_command_timeout_and_no_more() {
    let mut server = own_valkey().await;
    let redis = Redis::open(&settings(server.port())).unwrap();
    redis.ping().await.unwrap();
    server.pause();
    // Callers that keep sending do not hide that nothing comes back.
    eventually("the server counts as away", async || {
        let started = Instant::now();
        assert!(get(redis.commands(), "k").await.unwrap_err().retryable());
        assert!(
            started.elapsed() < Duration::from_millis(3_000),
            "{:?}",
            started.elapsed()
        );
        redis
            .ping()
            .await
            .err()
            .filter(|_| started.elapsed() < Duration::from_millis(100))
    })
    .await;
    server.resume();
    eventually("commands work again", async || get(redis.commands(), "k").await.ok()).await;
}

#[tokio::test]
async fn commands_do_not_pile_up_and_are_not_sent_late() {
    let mut server = own_valkey().await;
    let redis = Redis::open(&settings(server.port())).unwrap();
    redis.ping().await.unwrap();
    server.stop().await.unwrap();
    eventually("the outage is known", async || redis.ping().await.err()).await;
    let started = Instant::now();
    let errors = join_all((0..5_000).map(|_| async {
        let added: Result<String, _> = redis.commands().xadd("late", false, None, "*", ("f", "v")).await;
        added.map_err(Error::from)
    }))
    .await;
    assert!(errors.iter().all(|result| result.as_ref().is_err_and(Error::retryable)));
    let pipeline = redis.commands().pipeline();
    let _: () = pipeline.xadd("late", false, None, "*", ("f", "v")).await.unwrap();
    let pipelined: Result<Value, _> = pipeline.all().await;
    assert!(Error::from(pipelined.unwrap_err()).retryable());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());

    server.start_again().await.unwrap();
    for n in 0..50 {
        eventually("commands work again", async || get(redis.commands(), "k").await.ok()).await;
        let added: String = redis.commands().xadd("kept", false, None, "*", ("n", n)).await.unwrap();
        assert!(!added.is_empty());
    }
    let late: u64 = redis.commands().xlen("late").await.unwrap();
    let kept: u64 = redis.commands().xlen("kept").await.unwrap();
    assert_eq!((late, kept), (0, 50));
}

#[tokio::test]
async fn a_password_is_sent_and_a_wrong_one_is_named() {
    let server = own_valkey().await;
    let open = Redis::open(&settings(server.port())).unwrap();
    let _: Value = configure(&open, "requirepass", "right").await;

    let mut with_password = settings(server.port());
    with_password.password = Some("right".into());
    let redis = Redis::open(&with_password).unwrap();
    redis.ping().await.unwrap();
    get(&redis.dedicated().unwrap(), "k").await.unwrap();
    with_password.username = Some("default".to_owned());
    Redis::open(&with_password).unwrap().ping().await.unwrap();

    with_password.password = Some("wrong".into());
    let wrong = Redis::open(&with_password).unwrap();
    let error = wrong.ping().await.unwrap_err();
    assert!(error.to_string().contains("WRONGPASS"), "{error}");
    let none = Redis::open(&settings(server.port())).unwrap();
    let error = none.ping().await.unwrap_err();
    assert!(error.to_string().contains("NOAUTH"), "{error}");
    assert!(error.to_string().contains("REDIS_PASSWORD"), "{error}");
}

async fn configure(redis: &Redis, name: &str, value: &str) -> Value {
    let command = fred::types::CustomCommand::new_static("CONFIG", fred::types::ClusterHash::FirstKey, false);
    let words = vec!["SET".to_owned(), name.to_owned(), value.to_owned()];
    redis.commands().custom(command, words).await.unwrap()
}

#[tokio::test]
async fn a_cluster_is_found_from_any_node_and_survives_a_restart_of_one() {
    let mut cluster = own_valkey_cluster(3).await;
    let mut settings = settings(cluster.ports()[1]);
    settings.cluster = true;
    settings.command_timeout = Duration::from_secs(2);
    let redis = Redis::open(&settings).unwrap();
    let dedicated = redis.dedicated().unwrap();
    let keys: Vec<String> = (0..60).map(|n| format!("key-{n}")).collect();
    for key in &keys {
        let _: () = redis.commands().set(key, "1", None, None, false).await.unwrap();
        assert_eq!(get(&dedicated, key).await.unwrap().as_deref(), Some("1"));
    }

    cluster.node(1).unwrap().kill().await.unwrap();
    cluster.node(1).unwrap().start_again().await.unwrap();
    cluster.wait_until_whole().await.unwrap();
    eventually("every slot serves again", async || {
        let shared = join_all(keys.iter().map(|key| get(redis.commands(), key))).await;
        let own = join_all(keys.iter().map(|key| get(&dedicated, key))).await;
        shared.iter().chain(&own).all(Result::is_ok).then_some(())
    })
    .await;
    let health = brain_connectivity::health::Health::new(Duration::from_secs(5))
        .with(brain_connectivity::redis::RedisProbe::new(redis.clone()));
    let report = health.report().await;
    assert!(report.ok, "{report:?}");
    assert_eq!(report.checks[0].details.as_ref().unwrap()["nodes"], 3);
}

//! The shared and the dedicated client: what each is for, and how they come back.

use std::time::{Duration, Instant};

use brain_connectivity::redis::{Error, Redis};
use brain_testkit::{eventually, test_config, unique};
use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface, StreamsInterface};
use fred::types::{ClusterHash, CustomCommand, Value};

async fn command(client: &Client, words: &[&str]) -> Result<Value, fred::error::Error> {
    let command = CustomCommand::new(words[0].to_owned(), ClusterHash::FirstKey, false);
    client
        .custom(command, words[1..].iter().map(|word| (*word).to_owned()).collect())
        .await
}

async fn connection_id(client: &Client) -> i64 {
    command(client, &["CLIENT", "ID"]).await.unwrap().convert().unwrap()
}

#[tokio::test]
async fn a_blocking_read_does_not_hold_up_the_shared_connection() {
    let config = test_config();
    let redis = Redis::open(&config.redis).unwrap();
    let stream = config.bus.stream_name;
    let reader = redis.dedicated().unwrap();
    assert_ne!(connection_id(redis.commands()).await, connection_id(&reader).await);

    let key = stream.clone();
    let reading = tokio::spawn(async move {
        let block = Some(9_000);
        let read: Value = reader.xread(None, block, key, "0-0").await.unwrap();
        read
    });
    let started = Instant::now();
    for _ in 0..100 {
        redis.ping().await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!reading.is_finished());
    let _: String = redis
        .commands()
        .xadd(&stream, false, None, "*", ("field", "value"))
        .await
        .unwrap();
    assert!(!reading.await.unwrap().is_null());
    let _: i64 = redis.commands().del(&stream).await.unwrap();
}

#[tokio::test]
async fn killed_connections_come_back_by_themselves() {
    let redis = Redis::open(&test_config().redis).unwrap();
    let killer = Redis::open(&test_config().redis).unwrap();
    let dedicated = redis.dedicated().unwrap();
    for client in [redis.commands(), &dedicated] {
        let before = connection_id(client).await;
        command(killer.commands(), &["CLIENT", "KILL", "ID", &before.to_string()])
            .await
            .unwrap();
        eventually("the client has a new connection", async || {
            let id: i64 = command(client, &["CLIENT", "ID"]).await.ok()?.convert().ok()?;
            (id != before).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_killed_blocking_read_fails_and_the_next_one_works() {
    let config = test_config();
    let redis = Redis::open(&config.redis).unwrap();
    let stream = config.bus.stream_name;
    let _: Value = redis.commands().xgroup_create(&stream, "g", "0", true).await.unwrap();
    let reader = redis.dedicated().unwrap();
    let id = connection_id(&reader).await;
    let (killed, reread) = (reader.clone(), stream.clone());
    let reading = tokio::spawn(async move {
        let read: Result<Value, _> = killed.xreadgroup("g", "c", None, Some(9_000), false, reread, ">").await;
        read
    });
    eventually("the read blocks", async || {
        let list: String = command(redis.commands(), &["CLIENT", "LIST", "ID", &id.to_string()])
            .await
            .ok()?
            .convert()
            .ok()?;
        list.contains("cmd=xreadgroup").then_some(())
    })
    .await;
    command(redis.commands(), &["CLIENT", "KILL", "ID", &id.to_string()])
        .await
        .unwrap();
    let error = Error::from(reading.await.unwrap().unwrap_err());
    assert!(error.retryable(), "{error}");

    let _: String = redis
        .commands()
        .xadd(&stream, false, None, "*", ("field", "value"))
        .await
        .unwrap();
    let read: Value = eventually("the reader reads again", async || {
        reader
            .xreadgroup("g", "c", None, Some(1_000), false, &stream, ">")
            .await
            .ok()
    })
    .await;
    assert!(!read.is_null());
    let _: i64 = redis.commands().del(&stream).await.unwrap();
}

#[tokio::test]
async fn a_refused_command_carries_its_code() {
    let redis = Redis::open(&test_config().redis).unwrap();
    let stream = unique("test");
    let read: Result<Value, _> = redis
        .commands()
        .xreadgroup("g", "c", None, None, false, &stream, ">")
        .await;
    let error = Error::from(read.unwrap_err());
    assert_eq!((error.code(), error.retryable()), (Some("NOGROUP"), false), "{error:?}");
    let _: () = redis.commands().set(&stream, "text", None, None, false).await.unwrap();
    let added: Result<Value, _> = redis.commands().xadd(&stream, false, None, "*", ("f", "v")).await;
    assert_eq!(Error::from(added.unwrap_err()).code(), Some("WRONGTYPE"));
    let _: i64 = redis.commands().del(&stream).await.unwrap();
}

#[tokio::test]
async fn closing_ends_every_connection() {
    let watcher = Redis::open(&test_config().redis).unwrap();
    let redis = Redis::open(&test_config().redis).unwrap();
    let dedicated = redis.dedicated().unwrap();
    let ids = [connection_id(redis.commands()).await, connection_id(&dedicated).await];
    redis.close().await;
    eventually("the server has neither connection", async || {
        let words = ["CLIENT", "LIST", "ID", &ids[0].to_string(), &ids[1].to_string()];
        let list: String = command(watcher.commands(), &words).await.ok()?.convert().ok()?;
        list.trim().is_empty().then_some(())
    })
    .await;
    let started = Instant::now();
    assert!(redis.ping().await.is_err());
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn dropping_the_last_handle_ends_every_connection() {
    let watcher = Redis::open(&test_config().redis).unwrap();
    let redis = Redis::open(&test_config().redis).unwrap();
    let id = connection_id(&redis.dedicated().unwrap()).await;
    drop(redis);
    eventually("the server has no such connection", async || {
        let list: String = command(watcher.commands(), &["CLIENT", "LIST", "ID", &id.to_string()])
            .await
            .ok()?
            .convert()
            .ok()?;
        list.trim().is_empty().then_some(())
    })
    .await;
}

//! Tests of the artifact store: against the S3 server of the stack, and against a scripted one for what a sound
//! server never does.

mod faults;
mod links;
mod listing;
mod scripted;
mod streaming;
mod unreachable;
mod upload;

use std::pin::Pin;
use std::task::{Context, Poll};

use brain_connectivity::artifacts::{ArtifactKey, ArtifactStore, Digest, Error};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, ReadBuf};

fn key(text: &str) -> ArtifactKey {
    ArtifactKey::new(text).unwrap()
}

/// A store in a bucket of its own.
async fn store() -> ArtifactStore {
    let store = ArtifactStore::open(&brain_testkit::test_config().artifacts).unwrap();
    store.ensure_bucket().await.unwrap();
    store
}

/// `left` bytes that depend on their place, as they are asked for, so that the test itself holds none of them.
struct Pattern {
    at: u64,
    left: u64,
}

impl Pattern {
    fn of(size: u64) -> Self {
        Self { at: 0, left: size }
    }

    fn byte(at: u64) -> u8 {
        (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
    }

    fn bytes(from: u64, to: u64) -> Vec<u8> {
        (from..to).map(Self::byte).collect()
    }

    fn digest(size: u64) -> Digest {
        let mut hasher = Sha256::new();
        for from in (0..size).step_by(1 << 16) {
            hasher.update(Self::bytes(from, size.min(from + (1 << 16))));
        }
        format!("{:x}", hasher.finalize()).parse().unwrap()
    }
}

impl AsyncRead for Pattern {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let size = self.left.min(buffer.remaining() as u64).min(1 << 16);
        buffer.put_slice(&Self::bytes(self.at, self.at + size));
        self.at += size;
        self.left -= size;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_is_stored_is_read_again_with_its_properties() {
    let store = store().await;
    let key = key("runs/7/report.txt");
    let stored = store
        .put(&key, &b"all well"[..], "text/plain; charset=utf-8")
        .await
        .unwrap();
    assert_eq!((stored.size, stored.sha256), (8, Digest::of(b"all well")));

    let meta = store.head(&key).await.unwrap().unwrap();
    assert_eq!(meta.size, 8);
    assert_eq!(meta.sha256, Some(stored.sha256));
    assert_eq!(meta.content_type.as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(meta.etag, stored.etag);
    let age = jiff::Timestamp::now().duration_since(meta.last_modified.unwrap());
    assert!(age.as_secs().abs() < 60, "{age:?}");

    let download = store.get(&key).await.unwrap().unwrap();
    assert_eq!(download.meta(), &meta);
    assert_eq!(download.into_bytes(8).await.unwrap(), b"all well");

    store.put(&key, &b""[..], "text/plain").await.unwrap();
    let download = store.get(&key).await.unwrap().unwrap();
    assert_eq!((download.length(), download.into_bytes(0).await.unwrap()), (0, vec![]));
}

#[tokio::test]
async fn a_small_limit_refuses_a_large_artifact_before_reading_it() {
    let store = store().await;
    store.put(&key("large"), Pattern::of(1001), "a/b").await.unwrap();
    let refused = store.get(&key("large")).await.unwrap().unwrap().into_bytes(1000).await;
    assert!(
        matches!(refused, Err(Error::TooLarge { limit: 1000, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn ranges_are_the_bytes_from_there() {
    let store = store().await;
    let key = key("range");
    store
        .put(&key, Pattern::of(1000), "application/octet-stream")
        .await
        .unwrap();
    for (offset, length, end) in [
        (0, Some(1), 1),
        (0, None, 1000),
        (999, None, 1000),
        (10, Some(90), 100),
        (990, Some(500), 1000),
        (5, Some(u64::MAX), 1000),
    ] {
        let download = store.get_range(&key, offset, length).await.unwrap().unwrap();
        assert_eq!((download.length(), download.meta().size), (end - offset, 1000));
        assert_eq!(
            download.into_bytes(1000).await.unwrap(),
            Pattern::bytes(offset, end),
            "{offset} {length:?}"
        );
    }
    let beyond = store.get_range(&key, 1000, None).await;
    assert!(matches!(beyond, Err(Error::Refused { status: 416, .. })), "{beyond:?}");
    let empty = store.get_range(&key, 0, Some(0)).await;
    assert!(matches!(empty, Err(Error::InvalidRequest { .. })), "{empty:?}");
}

#[tokio::test]
async fn a_missing_artifact_is_none_and_deleting_twice_is_fine() {
    let store = store().await;
    let key = key("a/b");
    assert!(store.get(&key).await.unwrap().is_none());
    assert!(store.get_range(&key, 0, None).await.unwrap().is_none());
    assert!(store.head(&key).await.unwrap().is_none());
    store.delete(&key).await.unwrap();
    store.put(&key, &b"x"[..], "text/plain").await.unwrap();
    assert!(store.head(&key).await.unwrap().is_some());
    store.delete(&key).await.unwrap();
    store.delete(&key).await.unwrap();
    assert!(store.get(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn a_missing_bucket_is_said_by_every_operation() {
    let store = ArtifactStore::open(&brain_testkit::test_config().artifacts).unwrap();
    let key = key("a");
    for failed in [
        store.get(&key).await.map(|_| ()),
        store.get_range(&key, 0, None).await.map(|_| ()),
        store.head(&key).await.map(|_| ()),
        store.list("", None, 10).await.map(|_| ()),
        store.delete(&key).await,
    ] {
        let error = failed.unwrap_err();
        assert!(matches!(error, Error::BucketMissing { .. }), "{error:?}");
        assert!(error.to_string().contains(&store.place().bucket), "{error}");
        assert!(!error.retryable());
    }
}

#[tokio::test]
async fn any_number_may_create_the_bucket_at_once() {
    let settings = brain_testkit::test_config().artifacts;
    let creations = (0..8).map(|_| {
        let store = ArtifactStore::open(&settings).unwrap();
        tokio::spawn(async move { store.ensure_bucket().await })
    });
    for creation in creations.collect::<Vec<_>>() {
        creation.await.unwrap().unwrap();
    }
    let store = ArtifactStore::open(&settings).unwrap();
    store.put(&key("a"), &b"x"[..], "text/plain").await.unwrap();
    store.ensure_bucket().await.unwrap();
    assert!(
        store.head(&key("a")).await.unwrap().is_some(),
        "creating the bucket again must not empty it"
    );
}

#[tokio::test]
async fn keys_that_need_escaping_name_what_they_say() {
    let store = store().await;
    let names = [
        "plain",
        "with space/and (brackets)",
        "a+b=c&d?e#f%2e%2F",
        "ключ/значение",
        "日本語.txt",
        "a:b*c'd~e!f@g$h,i;j",
        "q\"<>{}|\\^`[]",
        "..a/b..",
        "emoji 🧠",
    ];
    for name in names {
        store.put(&key(name), name.as_bytes(), "text/plain").await.unwrap();
    }
    for name in names {
        let found = store.get(&key(name)).await.unwrap().unwrap();
        assert_eq!(found.into_bytes(100).await.unwrap(), name.as_bytes(), "{name}");
    }
    let mut listed: Vec<_> = store
        .list("", None, 100)
        .await
        .unwrap()
        .entries
        .into_iter()
        .map(|entry| entry.key)
        .collect();
    listed.sort();
    let mut expected: Vec<_> = names.into_iter().map(key).collect();
    expected.sort();
    assert_eq!(listed, expected);
    for name in names {
        store.delete(&key(name)).await.unwrap();
        assert!(store.head(&key(name)).await.unwrap().is_none(), "{name}");
    }
}

//! Links for those without credentials.

use std::time::Duration;

use brain_connectivity::artifacts::Error;
use brain_testkit::eventually;

use super::{key, store};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_link_reads_one_artifact() {
    let store = store().await;
    let key = key("with space/ключ+1");
    store.put(&key, &b"for you"[..], "text/plain").await.unwrap();
    let link = store.presign_get(&key, HOUR).await.unwrap();
    let answer = reqwest::get(&link).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "for you");
    let other = reqwest::get(link.replace("with%20space", "other")).await.unwrap();
    assert_eq!(other.status(), 403);
}

#[tokio::test]
async fn a_link_stores_one_artifact_of_the_signed_type() {
    let store = store().await;
    let key = key("upload");
    let link = store.presign_put(&key, Some("image/png"), HOUR).await.unwrap();
    let client = reqwest::Client::new();
    let put = |content_type: &str| {
        client
            .put(&link)
            .header("content-type", content_type)
            .body("pixels")
            .send()
    };
    assert_eq!(put("text/html").await.unwrap().status(), 403);
    assert!(store.head(&key).await.unwrap().is_none());
    assert_eq!(put("image/png").await.unwrap().status(), 200);
    let stored = store.get(&key).await.unwrap().unwrap();
    assert_eq!(stored.meta().content_type.as_deref(), Some("image/png"));
    assert_eq!(stored.meta().sha256, None);
    assert_eq!(stored.into_bytes(10).await.unwrap(), b"pixels");

    let any = store.presign_put(&key, None, HOUR).await.unwrap();
    assert_eq!(client.put(&any).body("other").send().await.unwrap().status(), 200);
    let stored = store.get(&key).await.unwrap().unwrap();
    assert_eq!(stored.into_bytes(10).await.unwrap(), b"other");
}

#[tokio::test]
async fn a_link_ends() {
    let store = store().await;
    store.put(&key("a"), &b"x"[..], "text/plain").await.unwrap();
    let link = store.presign_get(&key("a"), Duration::from_secs(1)).await.unwrap();
    eventually("the link is refused", async || {
        (reqwest::get(&link).await.unwrap().status() == 403).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_link_of_no_or_endless_life_or_with_a_bad_type_is_refused() {
    let store = store().await;
    for refused in [
        store.presign_get(&key("a"), Duration::ZERO).await,
        store.presign_get(&key("a"), Duration::from_secs(604_801)).await,
        store.presign_put(&key("a"), Some("text/plain\r\nx: y"), HOUR).await,
        store.presign_put(&key("a"), Some(""), HOUR).await,
    ] {
        assert!(matches!(refused, Err(Error::InvalidRequest { .. })), "{refused:?}");
    }
}

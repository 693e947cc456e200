//! What a store that misbehaves leads to: no wrong bytes, no endless waiting, no harmful repetition.

use std::time::{Duration, Instant};

use brain_connectivity::artifacts::{Digest, Error};
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;

use super::key;
use super::scripted::{Reply, Scripted};

const PATIENT: Duration = Duration::from_secs(20);
const IMPATIENT: Duration = Duration::from_millis(300);

/// An answer to GET whose metadata hold the digest of `stored`, while `sent` is what comes.
fn object(stored: &[u8], sent: &[u8]) -> Reply {
    Reply::new(
        200,
        &format!("x-amz-meta-sha256: {}\r\netag: \"e\"\r\n", Digest::of(stored)),
        sent,
    )
}

#[tokio::test]
async fn a_flipped_bit_is_an_error_after_the_last_byte() {
    let server = Scripted::start([object(b"all well", b"all weLl"), object(b"all well", b"all weLl")]).await;
    let store = server.store(PATIENT);
    let mut download = store.get(&key("a")).await.unwrap().unwrap();
    let mut last = None;
    while let Some(chunk) = download.next().await {
        last = Some(chunk);
    }
    let error = last.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::Corrupt { .. }) && !error.retryable(),
        "{error:?}"
    );

    let mut text = String::new();
    let error = store
        .get(&key("a"))
        .await
        .unwrap()
        .unwrap()
        .into_reader()
        .read_to_string(&mut text)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let cause = error.get_ref().unwrap().downcast_ref::<Error>();
    assert!(matches!(cause, Some(Error::Corrupt { .. })), "{cause:?}");
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    let server = Scripted::start([object(b"0123456789", b"0123456789").cut_by(3)]).await;
    let download = server.store(PATIENT).get(&key("a")).await.unwrap().unwrap();
    let error = download.into_bytes(10).await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { .. } | Error::Length { .. }),
        "{error:?}"
    );
    assert!(error.retryable());
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_an_error() {
    for headers in [
        "",
        "content-range: bytes 0-3/10\r\n",
        "content-range: bytes 5-4/10\r\n",
        "content-range: x\r\n",
    ] {
        let server = Scripted::start([Reply::new(206, headers, b"4567")]).await;
        let answer = server.store(PATIENT).get_range(&key("a"), 4, Some(4)).await;
        assert!(matches!(answer, Err(Error::Protocol { .. })), "{headers:?} {answer:?}");
    }
    // Fewer bytes than the range says.
    let server = Scripted::start([Reply::new(206, "content-range: bytes 4-8/10\r\n", b"4567")]).await;
    let range = server
        .store(PATIENT)
        .get_range(&key("a"), 4, Some(5))
        .await
        .unwrap()
        .unwrap();
    let error = range.into_bytes(10).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Length {
                expected: 5,
                found: 4,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn silence_in_a_body_ends_it_but_slowness_does_not() {
    let body = b"0123456789";
    let server = Scripted::start([object(body, body).dripping(9, IMPATIENT / 5)]).await;
    let started = Instant::now();
    let download = server.store(IMPATIENT).get(&key("a")).await.unwrap().unwrap();
    assert_eq!(download.into_bytes(10).await.unwrap(), body);
    assert!(
        started.elapsed() > IMPATIENT,
        "the transfer was too quick to show anything"
    );

    let server = Scripted::start([object(body, body).cut_by(3).then_stall()]).await;
    let download = server.store(IMPATIENT).get(&key("a")).await.unwrap().unwrap();
    let error = download.into_bytes(10).await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout { waited: IMPATIENT, .. }) && error.retryable(),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_store_that_is_busy_for_a_moment_is_asked_again() {
    let busy = || Reply::error(503, "SlowDown");
    let server = Scripted::start([busy(), Reply::error(500, "InternalError"), object(b"x", b"x")]).await;
    let download = server.store(PATIENT).get(&key("a")).await.unwrap().unwrap();
    assert_eq!(download.into_bytes(1).await.unwrap(), b"x");
    assert_eq!(server.requests(), ["GET /b/a", "GET /b/a", "GET /b/a"]);

    let server = Scripted::start([busy(), Reply::new(200, "etag: \"e\"\r\n", b"")]).await;
    server
        .store(PATIENT)
        .put(&key("a"), &b"x"[..], "text/plain")
        .await
        .unwrap();
    assert_eq!(server.requests(), ["PUT /b/a", "PUT /b/a"]);
}

#[tokio::test]
async fn a_store_that_stays_busy_is_given_up_with_its_own_words() {
    let server = Scripted::start(std::iter::repeat_n(Reply::error(503, "SlowDown"), 10)).await;
    let error = server.store(PATIENT).delete(&key("a")).await.unwrap_err();
    assert_eq!(server.requests().len(), 4);
    assert!(error.retryable());
    let text = error
        .to_string()
        .replace(&server.store(PATIENT).place().endpoint, "ENDPOINT");
    insta::assert_snapshot!(text, @"could not delete artifact `a` in bucket `b` at ENDPOINT: the store answered 503 SlowDown (Scripted)");
}

#[tokio::test]
async fn what_will_not_pass_is_not_asked_again() {
    let server = Scripted::start([Reply::error(400, "InvalidRequest")]).await;
    let error = server.store(PATIENT).delete(&key("a")).await.unwrap_err();
    assert!(
        matches!(error, Error::Refused { status: 400, .. }) && !error.retryable(),
        "{error:?}"
    );
    assert_eq!(server.requests(), ["DELETE /b/a"]);
}

#[tokio::test]
async fn something_else_than_a_store_is_recognised() {
    let page = Reply::new(200, "content-type: text/html\r\n", b"<html><body>console</body></html>");
    let server = Scripted::start([page]).await;
    let error = server.store(PATIENT).list("", None, 10).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
    assert!(
        text.contains("STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT is the S3 interface"),
        "{text}"
    );
}

#[tokio::test]
async fn another_region_is_named_as_the_setting_to_change() {
    let server = Scripted::start([Reply::error(400, "AuthorizationHeaderMalformed")]).await;
    let error = server.store(PATIENT).list("", None, 10).await.unwrap_err();
    assert!(
        error.to_string().ends_with("set STUDIO_BRAIN_ARTIFACT_STORE_REGION"),
        "{error}"
    );
}

//! Uploads in parts that do not end well leave nothing behind.

use std::time::Duration;

use brain_connectivity::artifacts::{Error, PART_BYTES};
use brain_testkit::eventually;
use tokio::io::AsyncReadExt;

use super::scripted::{Reply, Scripted};
use super::{Pattern, key};

const PATIENT: Duration = Duration::from_secs(20);
const PART: u64 = PART_BYTES as u64;

fn begun() -> Reply {
    let body = b"<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>a</Key><UploadId>u-1</UploadId></InitiateMultipartUploadResult>";
    Reply::new(200, "", body)
}

fn part() -> Reply {
    Reply::new(200, "etag: \"p\"\r\n", b"")
}

fn gone() -> Reply {
    Reply::new(204, "", b"")
}

const BEGIN: &str = "POST /b/a?uploads";
const FIRST: &str = "PUT /b/a?partNumber=1&uploadId=u-1";
const SECOND: &str = "PUT /b/a?partNumber=2&uploadId=u-1";
const COMPLETE: &str = "POST /b/a?uploadId=u-1";
const ABORT: &str = "DELETE /b/a?uploadId=u-1";

#[tokio::test]
async fn a_part_is_sent_again_when_the_store_was_busy() {
    let done = Reply::new(
        200,
        "",
        b"<CompleteMultipartUploadResult><ETag>\"w-2\"</ETag></CompleteMultipartUploadResult>",
    );
    let server = Scripted::start([begun(), part(), Reply::error(500, "InternalError"), part(), done]).await;
    let stored = server
        .store(PATIENT)
        .put(&key("a"), Pattern::of(PART + 1), "a/b")
        .await
        .unwrap();
    assert_eq!((stored.size, stored.etag.as_deref()), (PART + 1, Some("\"w-2\"")));
    assert_eq!(server.requests(), [BEGIN, FIRST, SECOND, SECOND, COMPLETE]);
}

#[tokio::test]
async fn a_source_that_fails_aborts_the_upload() {
    let server = Scripted::start([begun(), part(), gone()]).await;
    let broken = tokio_util::io::StreamReader::new(futures_util::stream::iter([Err::<bytes::Bytes, _>(
        std::io::Error::other("the agent hung up"),
    )]));
    let failed = server
        .store(PATIENT)
        .put(&key("a"), Pattern::of(PART).chain(broken), "a/b")
        .await;
    assert!(
        matches!(&failed, Err(Error::Source { source, .. }) if source.to_string() == "the agent hung up"),
        "{failed:?}"
    );
    assert_eq!(server.requests(), [BEGIN, FIRST, ABORT]);
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_any_more_is_aborted() {
    let server = Scripted::start([begun(), part(), gone()]).await;
    let store = server.store(PATIENT);
    let (endless, _keep) = tokio::io::duplex(1);
    let source = Pattern::of(PART).chain(endless);
    let upload = tokio::spawn(async move { store.put(&key("a"), source, "a/b").await });
    eventually("the first part is sent", async || {
        (server.requests().len() == 2).then_some(())
    })
    .await;
    upload.abort();
    eventually("the upload is aborted", async || {
        (server.requests().last().is_some_and(|last| last == ABORT)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_failure_that_is_told_after_status_200_is_a_failure() {
    let late = Reply::new(
        200,
        "",
        b"   <Error><Code>InternalError</Code><Message>Late.</Message></Error>",
    );
    let server = Scripted::start([begun(), part(), late, gone()]).await;
    let error = server
        .store(PATIENT)
        .put(&key("a"), Pattern::of(PART), "a/b")
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Refused { code, .. } if code == "InternalError") && error.retryable(),
        "{error:?}"
    );
    assert_eq!(server.requests(), [BEGIN, FIRST, COMPLETE, ABORT]);
}

#[tokio::test]
async fn beginning_and_completing_are_repeated_only_when_nothing_can_have_happened() {
    let server = Scripted::start([Reply::error(500, "InternalError")]).await;
    let error = server
        .store(PATIENT)
        .put(&key("a"), Pattern::of(PART), "a/b")
        .await
        .unwrap_err();
    assert!(error.retryable(), "{error:?}");
    assert_eq!(server.requests(), [BEGIN]);

    let completed = Reply::error(500, "InternalError");
    let server = Scripted::start([Reply::error(503, "SlowDown"), begun(), part(), completed, gone()]).await;
    server
        .store(PATIENT)
        .put(&key("a"), Pattern::of(PART), "a/b")
        .await
        .unwrap_err();
    assert_eq!(server.requests(), [BEGIN, BEGIN, FIRST, COMPLETE, ABORT]);
}

#[tokio::test]
async fn a_content_type_that_cannot_be_a_header_is_refused_before_anything_is_sent() {
    let server = Scripted::start([]).await;
    for content_type in [
        "",
        "text",
        "text/plain\n",
        "tëxt/plain",
        &format!("a/{}", "b".repeat(254)),
    ] {
        let refused = server.store(PATIENT).put(&key("a"), &b"x"[..], content_type).await;
        assert!(
            matches!(refused, Err(Error::InvalidRequest { .. })),
            "{content_type:?} {refused:?}"
        );
    }
    assert_eq!(server.requests(), [""; 0]);
}

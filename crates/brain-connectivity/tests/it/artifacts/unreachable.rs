//! A store that is away, silent or refuses the credentials: an error in time that says what to look at, and a health
//! check that says the same.

use std::time::{Duration, Instant};

use brain_connectivity::artifacts::{ArtifactStore, ArtifactStoreProbe, Error};
use brain_connectivity::health::{Probe, Status};
use tokio::net::TcpListener;

use super::scripted::{Reply, Scripted};
use super::{key, store};

/// What a person reads, without what differs from run to run.
fn readable(text: &str, store: &ArtifactStore) -> String {
    let bucket = format!("`{}`", store.place().bucket);
    text.replace(&store.place().endpoint, "ENDPOINT")
        .replace(&bucket, "BUCKET")
}

#[tokio::test]
async fn wrong_credentials_name_the_settings() {
    let right = store().await;
    let mut settings = brain_testkit::test_config().artifacts;
    settings.bucket.clone_from(&right.place().bucket);
    settings.secret_key = "not-the-secret".into();
    let wrong_secret = ArtifactStore::open(&settings).unwrap();
    let error = wrong_secret.put(&key("a"), &b"x"[..], "text/plain").await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }) && !error.retryable(), "{error:?}");
    insta::assert_snapshot!(readable(&error.to_string(), &right), @"could not store artifact `a` in bucket BUCKET at ENDPOINT: the store refused the credentials with 403 SignatureDoesNotMatch; check STUDIO_BRAIN_ARTIFACT_STORE_ACCESS_KEY, STUDIO_BRAIN_ARTIFACT_STORE_SECRET_KEY and what they permit");

    settings.access_key = "nobody".into();
    let nobody = ArtifactStore::open(&settings).unwrap();
    // HEAD gives no reason, so the store is asked for one.
    let error = nobody.head(&key("a")).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    let outcome = ArtifactStoreProbe::new(nobody).probe().await;
    assert_eq!(outcome.status, Status::Error);
    insta::assert_snapshot!(readable(&outcome.error.unwrap(), &right), @"could not look at bucket BUCKET at ENDPOINT: the store refused the credentials with 403 NotSignedUp (Your account is not signed up); check STUDIO_BRAIN_ARTIFACT_STORE_ACCESS_KEY, STUDIO_BRAIN_ARTIFACT_STORE_SECRET_KEY and what they permit");
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_an_error_in_time() {
    let mut settings = brain_testkit::test_config().artifacts;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    settings.endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    settings.timeout = Duration::from_secs(2);
    drop(listener);
    let store = ArtifactStore::open(&settings).unwrap();
    let started = Instant::now();
    let error = store.head(&key("a")).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(
        matches!(error, Error::Unreachable { .. }) && error.retryable(),
        "{error:?}"
    );
    insta::assert_snapshot!(readable(&error.to_string(), &store), @"could not look up artifact `a` in bucket BUCKET at ENDPOINT: Connection refused (os error 111); check that the store runs and that STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT and STUDIO_BRAIN_ARTIFACT_STORE_USE_SSL name it");

    let outcome = ArtifactStoreProbe::new(store.clone()).probe().await;
    assert_eq!(outcome.status, Status::Error);
    insta::assert_snapshot!(readable(&outcome.error.unwrap(), &store), @"could not look at bucket BUCKET at ENDPOINT: Connection refused (os error 111); check that the store runs and that STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT and STUDIO_BRAIN_ARTIFACT_STORE_USE_SSL name it");
}

#[tokio::test]
async fn a_store_that_never_answers_is_an_error_in_time() {
    let limit = Duration::from_millis(400);
    let server = Scripted::start([Reply::silence()]).await;
    let store = server.store(limit);
    let started = Instant::now();
    let error = store.ensure_bucket().await.unwrap_err();
    assert!(
        (limit..4 * limit).contains(&started.elapsed()),
        "{:?}",
        started.elapsed()
    );
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    insta::assert_snapshot!(readable(&error.to_string(), &store), @"could not look at bucket BUCKET at ENDPOINT: nothing came for 400 ms; if the store is only slow, raise STUDIO_BRAIN_ARTIFACT_STORE_TIMEOUT_MS");
}

#[tokio::test]
async fn asking_for_tls_speaks_tls() {
    let mut settings = brain_testkit::test_config().artifacts;
    settings.use_ssl = true;
    let store = ArtifactStore::open(&settings).unwrap();
    assert!(store.place().endpoint.starts_with("https://"));
    // The server of the stack speaks plain HTTP.
    let error = store.ensure_bucket().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(
        error.to_string().contains("STUDIO_BRAIN_ARTIFACT_STORE_USE_SSL"),
        "{error}"
    );
}

#[tokio::test]
async fn the_check_follows_the_bucket() {
    let store = ArtifactStore::open(&brain_testkit::test_config().artifacts).unwrap();
    let probe = ArtifactStoreProbe::new(store.clone());
    let outcome = probe.probe().await;
    assert_eq!(outcome.status, Status::Error);
    insta::assert_snapshot!(readable(&outcome.error.unwrap(), &store), @"could not look at bucket BUCKET at ENDPOINT: the bucket does not exist; it is made when the brain starts, or set STUDIO_BRAIN_ARTIFACT_STORE_BUCKET to one that exists");
    store.ensure_bucket().await.unwrap();
    let outcome = probe.probe().await;
    assert_eq!((outcome.status, outcome.error), (Status::Ok, None));
    let place = store.place();
    let details = serde_json::json!({ "endpoint": place.endpoint, "bucket": place.bucket });
    assert_eq!(outcome.details, Some(details));
}

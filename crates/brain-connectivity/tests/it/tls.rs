//! The four TLS modes of PostgreSQL, against servers that grant TLS, refuse it, or break it.

use brain_config::SslMode;
use brain_connectivity::postgres::{Error, Kind, Postgres};
use brain_testkit::test_config;

use crate::proxy::{Manner, Proxy};

async fn front(manner: Manner) -> (Proxy, brain_config::Postgres) {
    let mut settings = test_config().postgres;
    let proxy = Proxy::start(settings.port, manner).await;
    settings.port = proxy.port;
    settings.host = "localhost".to_owned();
    (proxy, settings)
}

async fn connect(settings: &brain_config::Postgres, mode: SslMode) -> Result<(), Error> {
    let mut settings = settings.clone();
    settings.ssl_mode = mode;
    let postgres = Postgres::open(&settings)?;
    postgres.client().await?.query_one("SELECT 1", &[]).await?;
    let (client, _notifications) = postgres.dedicated_with_notifications().await?;
    client.query_one("SELECT 1", &[]).await?;
    Ok(())
}

#[tokio::test]
async fn disable_does_not_encrypt_even_where_it_could() {
    let (proxy, settings) = front(Manner::Tls).await;
    connect(&settings, SslMode::Disable).await.unwrap();
    assert_eq!(proxy.sessions(), (0, 2));
}

#[tokio::test]
async fn prefer_and_require_encrypt_without_looking_at_the_certificate() {
    for mode in [SslMode::Prefer, SslMode::Require] {
        let (proxy, mut settings) = front(Manner::Tls).await;
        // The certificate is for another name, and nobody here knows its authority.
        settings.host = "127.0.0.1".to_owned();
        connect(&settings, mode).await.unwrap();
        assert_eq!(proxy.sessions(), (2, 0));
    }
}

#[tokio::test]
async fn prefer_falls_back_where_tls_is_refused_or_broken() {
    for manner in [Manner::Plain, Manner::Broken] {
        let (proxy, settings) = front(manner).await;
        connect(&settings, SslMode::Prefer).await.unwrap();
        assert_eq!(proxy.sessions(), (0, 2));
    }
}

#[tokio::test]
async fn require_and_verify_full_never_fall_back() {
    for manner in [Manner::Plain, Manner::Broken] {
        let (proxy, mut settings) = front(manner).await;
        settings.ssl_root_cert = Some(proxy.authority.clone());
        for mode in [SslMode::Require, SslMode::VerifyFull] {
            let error = connect(&settings, mode).await.unwrap_err();
            assert!(error.to_string().contains("TLS"), "{error}");
        }
        assert_eq!(proxy.sessions(), (0, 0));
    }
}

#[tokio::test]
async fn verify_full_accepts_the_authority_and_the_name_only() {
    let (proxy, mut settings) = front(Manner::Tls).await;
    settings.ssl_root_cert = Some(proxy.authority.clone());
    connect(&settings, SslMode::VerifyFull).await.unwrap();
    assert_eq!(proxy.sessions(), (2, 0));

    settings.host = "127.0.0.1".to_owned();
    let error = connect(&settings, SslMode::VerifyFull).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");

    let (stranger, _) = front(Manner::Tls).await;
    settings.host = "localhost".to_owned();
    settings.ssl_root_cert = Some(stranger.authority.clone());
    let error = connect(&settings, SslMode::VerifyFull).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    assert_eq!(proxy.sessions(), (2, 0));
}

#[tokio::test]
async fn verify_full_names_a_root_file_that_cannot_be_used() {
    let (proxy, mut settings) = front(Manner::Tls).await;
    let missing = proxy.authority.with_file_name("missing.pem");
    settings.ssl_root_cert = Some(missing.clone());
    let error = connect(&settings, SslMode::VerifyFull).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Configuration);
    let text = error.to_string();
    assert!(
        text.starts_with("PGSSLROOTCERT is wrong") && text.contains("missing.pem"),
        "{text}"
    );

    std::fs::write(&missing, "no certificate here").unwrap();
    let error = connect(&settings, SslMode::VerifyFull).await.unwrap_err();
    assert!(error.to_string().contains("holds no certificate"), "{error}");
}

//! Webhooks over TLS: a receiver that cannot prove its name gets nothing.

use std::{sync::Arc, time::Duration};

use brain_swarm::governance::{
    executor::{Executor as _, NotSent, Order, Outcome},
    webhook::{Client, WRITE_LIMIT},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

use super::receiver::{Gate, Receiver, order, read, settings, webhook};

/// An authority, and a server with a certificate of it.
fn authority(names: &[&str]) -> (RootCertStore, TlsAcceptor) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (roots, Arc::new(config).into())
}

async fn carry_out(host: &str, roots: RootCertStore, acceptor: TlsAcceptor, order: &Order) -> (Outcome, Gate) {
    let receiver = Receiver::new(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            if read(&mut stream).await.is_some() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1").await;
                let _ = stream.shutdown().await;
            }
        }
    })
    .await;
    let client = Client::trusting(&settings(&["127.0.0.1/32", "::1/128"]), roots).unwrap();
    let url = format!("https://{host}:{}/", receiver.port);
    let executor = webhook(client, &url, None);
    let gate = Gate::default();
    let outcome = executor.carry_out(order, &gate).await;
    (outcome, gate)
}

#[tokio::test]
async fn a_receiver_that_proves_its_name_gets_the_order() {
    let (roots, acceptor) = authority(&["localhost", "127.0.0.1"]);
    // Larger than what TLS holds back, so that the end of the request is really the end.
    let large = Order {
        input: format!("\"{}\"", "x".repeat(1 << 20)),
        ..order()
    };
    for host in ["localhost", "127.0.0.1"] {
        for order in [&order(), &large] {
            let (outcome, gate) = carry_out(host, roots.clone(), acceptor.clone(), order).await;
            assert_eq!(outcome, Outcome::Succeeded { output: "1".to_owned() }, "{host}");
            assert_eq!(gate.passes(), 1);
            assert!(gate.held()[0] < WRITE_LIMIT);
        }
    }
}

#[tokio::test]
async fn a_receiver_that_cannot_prove_its_name_gets_nothing() {
    let (roots, acceptor) = authority(&["other.example"]);
    let (strangers, _) = authority(&["localhost"]);
    let (known, named) = authority(&["localhost"]);
    for (what, roots, acceptor) in [
        ("another name", roots, acceptor),
        ("another authority", strangers, named),
    ] {
        let (outcome, gate) = carry_out("localhost", roots, acceptor, &order()).await;
        let Outcome::NotSent {
            reason: NotSent::Unreachable(reason),
        } = outcome
        else {
            panic!("{what}: {outcome:?}");
        };
        assert!(reason.contains("certificate"), "{reason}");
        assert_eq!(gate.passes(), 0, "{what}");
    }
    let receiver = Receiver::new(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    })
    .await;
    let client = Client::trusting(&settings(&["127.0.0.1/32"]), known).unwrap();
    let url = format!("https://127.0.0.1:{}/", receiver.port);
    let gate = Gate::default();
    let executor = webhook(client, &url, None);
    let outcome = executor.carry_out(&order(), &gate).await;
    assert!(
        matches!(
            outcome,
            Outcome::NotSent {
                reason: NotSent::Unreachable(_)
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(gate.passes(), 0);
}

#[tokio::test]
async fn without_authorities_nothing_is_sent_over_tls() {
    let (_, acceptor) = authority(&["localhost"]);
    let (outcome, gate) = carry_out("localhost", RootCertStore::empty(), acceptor, &order()).await;
    assert!(
        matches!(
            outcome,
            Outcome::NotSent {
                reason: NotSent::Refused(_)
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(gate.passes(), 0);
}

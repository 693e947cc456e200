//! Valkey: what a stop keeps, what a kill loses, who is let in.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use brain_devstack::process::Identity;
use brain_devstack::valkey::{Login, protocol::command};
use brain_devstack::{ValkeyOptions, ValkeyServer};

use crate::binaries;
use crate::folder::Folder;

fn options(folder: &Folder) -> ValkeyOptions {
    ValkeyOptions {
        binaries: binaries(),
        dir: folder.path().join("valkey"),
        port: 0,
        cluster: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_keeps_the_data_and_a_kill_loses_what_is_recent() {
    let folder = Folder::new();
    let mut server = ValkeyServer::start(options(&folder)).await.unwrap();
    command(server.port(), &["SET", "a", "1"]).await.unwrap();
    server.stop().await.unwrap();
    assert!(command(server.port(), &["PING"]).await.is_err());
    server.start_again().await.unwrap();
    assert_eq!(command(server.port(), &["GET", "a"]).await.unwrap(), "1");
    command(server.port(), &["SET", "a", "2"]).await.unwrap();
    server.kill().await.unwrap();
    server.start_again().await.unwrap();
    assert_eq!(command(server.port(), &["GET", "a"]).await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_never_runs_as_root_and_a_frozen_one_goes_on() {
    let folder = Folder::new();
    let mut server = ValkeyServer::start(options(&folder)).await.unwrap();
    let identity = Identity::read(&folder.path().join("valkey.pid")).unwrap();
    if let Ok(facts) = std::fs::metadata(format!("/proc/{}", identity.pid)) {
        assert_ne!(facts.uid(), 0);
    }
    server.pause();
    assert!(command(server.port(), &["PING"]).await.is_err());
    server.resume();
    assert_eq!(command(server.port(), &["PING"]).await.unwrap(), "PONG");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_asked_for_and_kept_from_other_users() {
    for username in [None, Some("dev".to_owned())] {
        let folder = Folder::new();
        let login = Login {
            username: username.clone(),
            password: Some("se\"cret \\".to_owned()),
        };
        let server = ValkeyServer::start_with_login(options(&folder), login).await.unwrap();
        let mode = std::fs::metadata(folder.path().join("valkey/valkey.conf"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "the settings hold the password");
        let name = username.as_deref().unwrap_or("default");
        assert_eq!(
            command(server.port(), &["AUTH", name, "se\"cret \\"]).await.unwrap(),
            "OK"
        );
        assert!(command(server.port(), &["AUTH", name, "wrong"]).await.is_err());
        if username.is_none() {
            assert!(
                command(server.port(), &["GET", "a"])
                    .await
                    .unwrap_err()
                    .to_string()
                    .contains("NOAUTH")
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_shows_the_log_and_leaves_nothing_running() {
    let folder = Folder::new();
    let mut server = ValkeyServer::start(options(&folder)).await.unwrap();
    server.kill().await.unwrap();
    std::fs::write(folder.path().join("valkey/dump.rdb"), "this is no snapshot").unwrap();
    let error = format!("{:#}", server.start_again().await.unwrap_err());
    assert!(
        error.contains("dump.rdb") || error.contains("Wrong signature"),
        "{error}"
    );
    assert_eq!(Identity::read(&folder.path().join("valkey.pid")), None);
}

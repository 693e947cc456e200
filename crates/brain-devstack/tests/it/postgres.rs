//! PostgreSQL: lives through stops and kills, never runs as root, keeps its promises about durability.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use brain_devstack::postgres::admin::{Access, ensure_access};
use brain_devstack::process::Identity;
use brain_devstack::{PostgresOptions, PostgresServer, ports};
use tokio_postgres::{Client, NoTls};

use crate::binaries;
use crate::folder::Folder;

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn start(folder: &Folder, pgvector: bool) -> PostgresServer {
    let data_dir = folder.path().join("data");
    PostgresServer::start(PostgresOptions {
        binaries: binaries(),
        data_dir,
        port: 0,
        pgvector,
    })
    .await
    .unwrap()
}

async fn setting(client: &Client, name: &str) -> String {
    client
        .query_one("SELECT current_setting($1)", &[&name])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_rows_survive_a_stop_and_a_kill() {
    let folder = Folder::new();
    let mut server = start(&folder, true).await;
    let url = server.url("postgres");
    let client = connect(&url).await.unwrap();
    client
        .batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        .await
        .unwrap();
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(setting(&client, name).await, "on", "{name}");
    }

    server.stop().await.unwrap();
    assert!(!server.is_running());
    assert!(connect(&url).await.is_err(), "a stopped server must not answer");
    assert!(ports::is_free(server.port()));
    server.start_again().await.unwrap();
    let client = connect(&url).await.unwrap();
    client.batch_execute("INSERT INTO kept VALUES (2)").await.unwrap();

    server.kill().await.unwrap();
    server.start_again().await.unwrap();
    let client = connect(&url).await.unwrap();
    let count: i64 = client.query_one("SELECT count(*) FROM kept", &[]).await.unwrap().get(0);
    assert_eq!(count, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_answers_again_once_it_may_go_on() {
    let folder = Folder::new();
    let mut server = start(&folder, true).await;
    let client = connect(&server.url("postgres")).await.unwrap();
    server.pause();
    let query = client.simple_query("SELECT 1");
    let mut query = std::pin::pin!(query);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), query.as_mut())
            .await
            .is_err()
    );
    server.resume();
    tokio::time::timeout(Duration::from_secs(20), query)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_never_runs_as_root_and_listens_on_the_loopback_address_only() {
    let folder = Folder::new();
    let server = start(&folder, true).await;
    let identity = Identity::read(&folder.path().join("data.pid")).unwrap();
    if let Ok(facts) = std::fs::metadata(format!("/proc/{}", identity.pid)) {
        assert_ne!(facts.uid(), 0);
    }
    let client = connect(&server.url("postgres")).await.unwrap();
    assert_eq!(setting(&client, "listen_addresses").await, "127.0.0.1");
    assert_eq!(setting(&client, "unix_socket_directories").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vector_extension_is_there_or_not_as_asked() {
    for pgvector in [true, false] {
        let folder = Folder::new();
        let server = start(&folder, pgvector).await;
        let client = connect(&server.url("postgres")).await.unwrap();
        let created = client.batch_execute("CREATE EXTENSION vector").await;
        assert_eq!(created.is_ok(), pgvector && binaries().pgvector, "{created:?}");
        client.batch_execute("CREATE EXTENSION pg_trgm").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_shows_the_log_and_leaves_nothing_running() {
    let folder = Folder::new();
    let mut server = start(&folder, true).await;
    server.stop().await.unwrap();
    let data = folder.path().join("data");
    std::fs::write(data.join("postgresql.conf"), "shared_buffers = 'a lot'\n").unwrap();
    let error = format!("{:#}", server.start_again().await.unwrap_err());
    assert!(error.contains("shared_buffers"), "{error}");
    assert!(!server.is_running());
    assert_eq!(Identity::read(&folder.path().join("data.pid")), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_names_a_stranger_does_not_block_the_start() {
    let folder = Folder::new();
    let mut server = start(&folder, true).await;
    server.stop().await.unwrap();
    // After a restart of the machine another program may have the id that the old server had.
    let stranger = std::process::id();
    let data = folder.path().join("data");
    let lock = format!("{stranger}\n{}\n1\n{}\n\n127.0.0.1\n", data.display(), server.port());
    std::fs::write(data.join("postmaster.pid"), lock).unwrap();
    server.start_again().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_data_is_refused() {
    let folder = Folder::new();
    let _first = start(&folder, true).await;
    let data_dir = folder.path().join("data");
    let second = PostgresServer::start(PostgresOptions {
        binaries: binaries(),
        data_dir,
        port: 0,
        pgvector: true,
    });
    let error = second.await.unwrap_err().to_string();
    assert!(error.contains("already"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_reported_before_anything_starts() {
    let folder = Folder::new();
    let holder = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = holder.local_addr().unwrap().port();
    let data_dir = folder.path().join("data");
    let server = PostgresServer::start(PostgresOptions {
        binaries: binaries(),
        data_dir,
        port,
        pgvector: true,
    });
    let error = server.await.unwrap_err().to_string();
    assert!(error.contains("PGPORT") && error.contains(&port.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_developers_own_role_and_database_are_made_and_kept_current() {
    let folder = Folder::new();
    let server = start(&folder, true).await;
    for (user, password) in [
        ("dev \"eloper", "it's \\ a secret"),
        ("dev \"eloper", "changed"),
        ("postgres", "mine"),
    ] {
        let access = Access {
            user: user.into(),
            password: password.into(),
            database: "studio".into(),
        };
        ensure_access(server.port(), &access).await.unwrap();
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(server.port())
            .user(user)
            .password(password)
            .dbname("studio");
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.simple_query("SELECT 1").await.unwrap();
    }
    let wrong = Access {
        user: "postgres".into(),
        password: "other".into(),
        database: "studio".into(),
    };
    let error = ensure_access(server.port(), &wrong).await.unwrap_err().to_string();
    assert!(error.contains("PGPASSWORD"), "{error}");
}

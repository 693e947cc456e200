//! The S3 server: stops, and is back on the same port.

use brain_devstack::{S3Server, ports};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::folder::Folder;

async fn answer_to_a_stranger(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(b"GET /bucket HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses_strangers_stops_and_is_back_on_the_same_port() {
    let folder = Folder::new();
    let mut server = S3Server::start(folder.path().join("s3"), 0, "key", "secret")
        .await
        .unwrap();
    let port = server.port();
    assert!(answer_to_a_stranger(port).await.unwrap().contains("AccessDenied"));
    // An idle connection must not hold up the stop.
    let _idle = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    server.stop().await.unwrap();
    assert!(!server.is_running());
    assert!(answer_to_a_stranger(port).await.is_err());
    assert!(ports::is_free(port));
    server.start_again().await.unwrap();
    assert!(answer_to_a_stranger(port).await.unwrap().contains("AccessDenied"));
}

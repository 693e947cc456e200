//! An S3 server in this process, its objects in files below a folder.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ports;

/// How long requests that are under way may take to finish at a stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running S3 server. Dropping it ends it at once.
#[derive(Debug)]
pub struct S3Server {
    root: PathBuf,
    port: u16,
    access_key: String,
    secret_key: String,
    running: Option<Serving>,
}

#[derive(Debug)]
struct Serving {
    accept: JoinHandle<()>,
    connections: TaskTracker,
    shutdown: CancellationToken,
}

impl S3Server {
    /// Serves the folder `root` (made when it is not there) on a port of 127.0.0.1; 0 means any free one.
    ///
    /// # Errors
    /// When the folder cannot be made or the port cannot be used.
    pub async fn start(root: impl AsRef<Path>, port: u16, access_key: &str, secret_key: &str) -> Result<Self> {
        let mut server = Self {
            root: root.as_ref().to_owned(),
            port: if port == 0 { ports::free_port()? } else { port },
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            running: None,
        };
        server.start_again().await?;
        Ok(server)
    }

    /// Serves the same folder on the same port again after [`S3Server::stop`].
    ///
    /// # Errors
    /// As [`S3Server::start`]; also when it still runs.
    pub async fn start_again(&mut self) -> Result<()> {
        if self.is_running() {
            bail!("the S3 server on port {} runs already", self.port);
        }
        std::fs::create_dir_all(&self.root).with_context(|| format!("cannot create {}", self.root.display()))?;
        let files = FileSystem::new(&self.root)
            .map_err(|error| anyhow::anyhow!("cannot serve {}: {error:?}", self.root.display()))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(
            self.access_key.clone(),
            self.secret_key.clone(),
        ));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await.with_context(|| {
            format!(
                "the S3 server cannot listen on port {} of 127.0.0.1; STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT changes it",
                self.port
            )
        })?;
        let (connections, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let accept = tokio::spawn(accept(listener, builder.build(), connections.clone(), shutdown.clone()));
        self.running = Some(Serving {
            accept,
            connections,
            shutdown,
        });
        Ok(())
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The endpoint's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether it serves.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|serving| !serving.accept.is_finished())
    }

    /// Stops listening, lets requests under way finish for a moment, then closes their connections.
    ///
    /// # Errors
    /// None at present.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(serving) = self.running.take() {
            serving.shutdown.cancel();
            serving.connections.close();
            let _ = serving.accept.await;
            serving.connections.wait().await;
        }
        Ok(())
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(serving) = self.running.take() {
            serving.shutdown.cancel();
            serving.accept.abort();
        }
    }
}

/// Whether an HTTP server answers on this port of 127.0.0.1; strangers are refused by S3, which is an answer too.
pub async fn answers(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            .await?;
        let mut start = [0; 5];
        stream.read_exact(&mut start).await?;
        std::io::Result::Ok(start == *b"HTTP/")
    };
    tokio::time::timeout(Duration::from_secs(3), ask)
        .await
        .is_ok_and(|answer| answer.unwrap_or(false))
}

async fn accept(listener: TcpListener, service: S3Service, connections: TaskTracker, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => {
                let (service, shutdown) = (service.clone(), shutdown.clone());
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    let connection = builder.serve_connection(TokioIo::new(socket), service);
                    let mut connection = std::pin::pin!(connection);
                    let outcome = tokio::select! {
                        outcome = connection.as_mut() => outcome,
                        () = shutdown.cancelled() => {
                            connection.as_mut().graceful_shutdown();
                            match tokio::time::timeout(STOP_LIMIT, connection).await {
                                Ok(outcome) => outcome,
                                Err(_) => return,
                            }
                        }
                    };
                    if let Err(error) = outcome {
                        tracing::debug!(error = %error, "s3 connection ended with an error");
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: give connections a moment to close.
                tracing::warn!(error = %error, "s3 server cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

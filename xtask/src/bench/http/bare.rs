//! A bare hyper server as a process of its own: what the machine can do with HTTP when nothing is done with a request.
//!
//! It reads every request to its end and answers with the bytes that the brain answered once, headers included.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use brain_devstack::free_port;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::load;
use crate::bench::wire::Connection;

/// The hidden command.
pub(crate) const COMMAND: &str = "__bare-hyper";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    port: u16,
    /// What to answer: to GET, and to anything else
    #[arg(long)]
    answers: String,
}

/// What is answered, as JSON on the command line.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// The server, running; ended when dropped.
pub(super) struct BareServer {
    child: Child,
    pub(super) url: String,
}

impl BareServer {
    /// Starts it with the answers of the brain at `url`.
    pub(super) async fn start(url: &str) -> Result<Self> {
        let answers = [
            answer_to(url, load::Request::Health).await?,
            answer_to(url, load::Request::Note).await?,
        ];
        let port = free_port()?;
        let child = Command::new(std::env::current_exe()?)
            .args([COMMAND, "--port", &port.to_string(), "--answers"])
            .arg(serde_json::to_string(&answers)?)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start the bare server")?;
        let server = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        let started = Instant::now();
        while Connection::open(&server.url).await.is_err() {
            if started.elapsed() > Duration::from_secs(10) {
                bail!("the bare server does not listen");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks once and keeps the answer. The headers that hyper makes itself are left to it.
async fn answer_to(url: &str, request: load::Request) -> Result<Answer> {
    let mut connection = Connection::open(url).await?;
    request.send(&mut connection).await?;
    let (status, body) = connection.newest()?;
    let body = String::from_utf8(body.to_vec()).context("an answer that is text")?;
    let headers = connection.head();
    let headers = headers
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| ![header::DATE.as_str(), header::CONTENT_LENGTH.as_str()].contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(Answer {
        status,
        headers: headers.collect(),
        body,
    })
}

/// Runs the server until it is killed.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let answers: [Answer; 2] = serde_json::from_str(&args.answers).context("--answers")?;
    let [get, other] = answers;
    let answers = Arc::new([get.response()?, other.response()?]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answers = Arc::clone(&answers);
            tokio::spawn(async move {
                let service = service_fn(|request| serve(request, &answers));
                // A connection that its client closed is no news.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

async fn serve(
    request: Request<Incoming>,
    answers: &[Response<Full<Bytes>>; 2],
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    // What could not be read needs no answer: the connection is broken.
    let _ = body.collect().await;
    Ok(answers[usize::from(parts.method != hyper::Method::GET)].clone())
}

impl Answer {
    fn response(self) -> Result<Response<Full<Bytes>>> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        Ok(response.body(Full::new(Bytes::from(self.body)))?)
    }
}

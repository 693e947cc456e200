//! As much of the Redis protocol as starting a server takes: one command, its answer as text.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::process::Running;

/// How often a server that is not ready yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// How long one command may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// An answer is a status or a description of a cluster; more than this is not one.
const ANSWER_SIZE: usize = 1024 * 1024;

/// Sends one command on a connection of its own and returns the answer: the text of a status, a number or a string.
///
/// # Errors
/// When the server cannot be reached, answers with an error, or takes too long.
pub async fn command(port: u16, words: &[&str]) -> Result<String> {
    tokio::time::timeout(ANSWER_LIMIT, exchange(port, words))
        .await
        .with_context(|| format!("no answer to {} from port {port}", words.first().unwrap_or(&"nothing")))?
}

async fn exchange(port: u16, words: &[&str]) -> Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .with_context(|| format!("cannot reach port {port}"))?;
    let mut stream = BufReader::new(stream);
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream
        .write_all(request.as_bytes())
        .await
        .context("cannot send the command")?;
    let mut line = String::new();
    stream.read_line(&mut line).await.context("cannot read the answer")?;
    let line = line.trim_end();
    let (kind, rest) = line
        .split_at_checked(1)
        .context("the connection was closed without an answer")?;
    match kind {
        "+" | ":" => Ok(rest.to_owned()),
        "-" => bail!("{rest}"),
        "$" => {
            let length: usize = rest.parse().with_context(|| format!("unexpected answer {line:?}"))?;
            anyhow::ensure!(length <= ANSWER_SIZE, "an answer of {length} bytes is too long");
            let mut bytes = vec![0; length];
            stream.read_exact(&mut bytes).await.context("the answer ended early")?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => bail!("unexpected answer {line:?}"),
    }
}

/// Whether a Valkey or Redis server answers on this port of 127.0.0.1.
pub async fn answers(port: u16) -> bool {
    command(port, &["PING"])
        .await
        .map_or_else(|error| error.to_string().starts_with("NOAUTH"), |_| true)
}

/// Returns once the server answers a PING, or asks for a password, which takes a running server too.
pub(super) async fn wait_until_ready(running: &mut Running, port: u16, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = running.ended() {
            bail!("the server ended with {status}");
        }
        match command(port, &["PING"]).await {
            Ok(_) => return Ok(()),
            Err(error) if error.to_string().starts_with("NOAUTH") => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("no answer within {} s", limit.as_secs())));
            }
            Err(_) => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

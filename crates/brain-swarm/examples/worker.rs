//! A worker that counts words: it claims tasks over HTTP, notes its progress, and stops on Ctrl-C without losing one.
//!
//! `cargo run -p brain-swarm --features worker-http --example worker -- [URL] [AGENT]` while `cargo xtask dev-up` is running, and
//! `curl --json '{"inputs":{"text":"one two three"}}' http://127.0.0.1:8787/api/swarm/tasks` in another terminal.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::num::NonZeroUsize;

use brain_swarm::ids::ActorId;
use brain_swarm::worker::{Failure, Job, Options, Worker, http::Http};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

async fn count_words(job: Job) -> Result<Value, Failure> {
    let text = job.inputs["text"]
        .as_str()
        .ok_or_else(|| Failure::fatal("inputs.text is missing"))?;
    println!("attempt {} of task {}", job.attempt, job.task_id);
    let words = text.split_whitespace().count();
    // An error here, such as a lost lease, ends the attempt; the worker knows whether anything is left to report.
    job.progress(json!({ "words": words })).await?;
    Ok(json!({ "words": words }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:8787".to_owned());
    let agent = arguments
        .next()
        .unwrap_or_else(|| format!("rust-{}", std::process::id()));
    let mut transport = Http::new(&url)?;
    if let Ok(token) = std::env::var("STUDIO_BRAIN_ADMIN_TOKEN") {
        transport = transport.token(&token.into())?;
    }
    let options = Options {
        concurrency: NonZeroUsize::MIN.saturating_add(7),
        ..Options::new(ActorId::new(agent)?)
    };
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    Worker::new(transport, options, count_words).run(shutdown).await?;
    Ok(())
}

//! Stores a file as an artifact, reads it back verified, lists what is there and makes a link to it.
//!
//! Start the servers with `cargo xtask dev-up --deps`, then run
//! `cargo run -p brain-connectivity --example artifacts -- README.md`.
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use brain_config::{Config, Sources};
use brain_connectivity::artifacts::{ArtifactKey, ArtifactStore};
use tokio::fs::File;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("README.md"), PathBuf::from);
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or("the path does not end in a readable name")?;
    let sources = Sources::from_process(Some(Path::new(".env")), BTreeMap::new())?;
    let config = Config::load(&sources)?.config;

    let store = ArtifactStore::open(&config.artifacts)?;
    store.ensure_bucket().await?;
    let key = ArtifactKey::new(format!("examples/{name}"))?;
    let stored = store
        .put(&key, File::open(&path).await?, "application/octet-stream")
        .await?;
    println!("stored `{key}`: {} bytes, sha256 {}", stored.size, stored.sha256);

    // The digest that was recorded decides, not one that the store may have.
    let download = store
        .get_verified(&key, stored.sha256)
        .await?
        .ok_or("it is gone already")?;
    let copied = tokio::io::copy(&mut download.into_reader(), &mut tokio::io::sink()).await?;
    println!("read {copied} bytes back, all of them as they were");

    let mut cursor = None;
    loop {
        let page = store.list("examples/", cursor.as_ref(), 100).await?;
        for entry in &page.entries {
            println!("{:>12}  {}", entry.size, entry.key);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    println!(
        "for the next minute: {}",
        store.presign_get(&key, Duration::from_secs(60)).await?
    );
    Ok(())
}

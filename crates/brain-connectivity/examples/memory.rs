//! Remembers three sentences and finds them by words, by meaning, and both ways at once.
//!
//! Start the servers with `cargo xtask dev-up --deps`, then run
//! `cargo run -p brain-connectivity --example memory -- "which database is slow"`.
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::collections::BTreeMap;
use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use brain_config::{Config, Sources};
use brain_connectivity::memory::{NewMemory, Query, VectorMemory};
use brain_connectivity::migrations::Migrations;
use brain_connectivity::postgres::Postgres;

const TENANT: &str = "example";
const SENTENCES: [&str; 3] = [
    "The staging database is slow at night.",
    "Deployments need the approval of two people.",
    "Agents should ask before they delete a database.",
];

/// Stands in for an embedding model: texts that share words point in similar directions.
fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let mut embedding = vec![0.01; dimensions];
    for word in text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let mut hasher = DefaultHasher::new();
        word.to_lowercase().hash(&mut hasher);
        let place = hasher.finish() % dimensions as u64;
        if let Some(value) = usize::try_from(place).ok().and_then(|place| embedding.get_mut(place)) {
            *value += 1.0;
        }
    }
    embedding
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let question = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "which database is slow".to_owned());
    let sources = Sources::from_process(Some(Path::new(".env")), BTreeMap::new())?;
    let mut settings = Config::load(&sources)?.config;
    // It is off by default, and this example would be short without it.
    settings.memory.enabled = true;
    let dimensions = settings.memory.dimensions;

    let postgres = Postgres::open(&settings.postgres)?;
    Migrations::embedded().up(&postgres).await?;
    let memory = VectorMemory::open(postgres.clone(), &settings.memory);
    println!("searching with {:?}", memory.mode().await?);

    let memories = SENTENCES.iter().zip(1..).map(|(sentence, number)| NewMemory {
        memory_id: format!("sentence-{number}"),
        agent_id: "example".to_owned(),
        run_id: "example".to_owned(),
        content: (*sentence).to_owned(),
        embedding: Some(embed(sentence, dimensions)),
        ..NewMemory::default()
    });
    memory.upsert(TENANT, &memories.collect::<Vec<_>>()).await?;

    let (text, embedding) = (Some(question.clone()), Some(embed(&question, dimensions)));
    let query = Query::new(TENANT);
    for (way, query) in [
        (
            "words",
            Query {
                text: text.clone(),
                ..query.clone()
            },
        ),
        (
            "meaning",
            Query {
                embedding: embedding.clone(),
                ..query.clone()
            },
        ),
        (
            "both",
            Query {
                text,
                embedding,
                ..query
            },
        ),
    ] {
        println!("\n{question:?} by {way}:");
        for hit in memory.search(&query).await? {
            println!("{:>8.4}  {}", hit.score, hit.memory.content);
        }
    }

    memory
        .delete(TENANT, &["sentence-1", "sentence-2", "sentence-3"])
        .await?;
    postgres.close();
    Ok(())
}

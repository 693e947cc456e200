//! What is kept of a run that found something: ledgers, logs, and the tables as lines of JSON.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::world::World;
use crate::workspace::root;

const TABLES: [&str; 8] = [
    "swarm_tasks",
    "swarm_events",
    "swarm_agents",
    "swarm_streams",
    "swarm_task_dependencies",
    "swarm_concurrency",
    "swarm_outbox",
    "swarm_dead_letters",
];

/// Keeps all of it in a folder of the seed's own and says where.
pub(super) async fn keep(world: &World, seed: u64) -> Result<PathBuf> {
    let folder = root().join("target").join("chaos").join(seed.to_string());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    world.keep_evidence(&folder)?;
    let client = world.connect().await?;
    for table in TABLES {
        let sql = format!("SELECT row_to_json(t)::text FROM {table} t");
        let rows = client
            .query(&sql, &[])
            .await
            .with_context(|| format!("cannot read {table}"))?;
        let mut text = String::new();
        for row in &rows {
            text.push_str(row.get(0));
            text.push('\n');
        }
        let file = folder.join(table).with_extension("jsonl");
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(folder)
}

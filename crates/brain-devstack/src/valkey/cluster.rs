//! A Valkey Cluster of a few nodes on this machine, all primaries, the slots spread evenly.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{BUS_OFFSET, ValkeyOptions, ValkeyServer, protocol};
use crate::binaries::Binaries;

/// Number of hash slots of every cluster.
const SLOTS: usize = 16_384;
/// How long the nodes may take to agree.
const FORM_LIMIT: Duration = Duration::from_secs(60);
/// How often they are asked.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// A running cluster. Dropping it stops its nodes.
#[derive(Debug)]
pub struct ValkeyCluster {
    nodes: Vec<ValkeyServer>,
}

impl ValkeyCluster {
    /// Starts `nodes` servers on free ports with their data below `dir`, joins them, and waits until every one of
    /// them says that the cluster is whole.
    ///
    /// # Errors
    /// When a node cannot be started or they do not agree in time. Nothing keeps running.
    pub async fn start(binaries: &Binaries, dir: PathBuf, nodes: usize) -> Result<Self> {
        anyhow::ensure!((1..=SLOTS).contains(&nodes), "a cluster has at least one node");
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let mut cluster = Self {
            nodes: Vec::with_capacity(nodes),
        };
        for number in 0..nodes {
            let options = ValkeyOptions {
                binaries: binaries.clone(),
                dir: dir.join(format!("node-{number}")),
                port: 0,
                cluster: true,
            };
            cluster.nodes.push(ValkeyServer::start(options).await?);
        }
        cluster.form().await?;
        Ok(cluster)
    }

    /// The ports of the nodes on 127.0.0.1.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(ValkeyServer::port).collect()
    }

    /// One node, to stop, kill or freeze.
    pub fn node(&mut self, number: usize) -> Option<&mut ValkeyServer> {
        self.nodes.get_mut(number)
    }

    /// Waits until every running node says that all slots are served and sees every other node.
    ///
    /// # Errors
    /// When they do not agree in time.
    pub async fn wait_until_whole(&mut self) -> Result<()> {
        let deadline = Instant::now() + FORM_LIMIT;
        let expected = self.nodes.len();
        for port in self.ports() {
            loop {
                let state = protocol::command(port, &["CLUSTER", "INFO"]).await.unwrap_or_default();
                let has = |line: &str| state.lines().any(|found| found.trim() == line);
                if has("cluster_state:ok")
                    && has(&format!("cluster_known_nodes:{expected}"))
                    && has(&format!("cluster_slots_ok:{SLOTS}"))
                {
                    break;
                }
                if Instant::now() >= deadline {
                    bail!("the cluster did not become whole; the node on port {port} says:\n{state}");
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// Stops every node.
    ///
    /// # Errors
    /// As [`ValkeyServer::stop`].
    pub async fn stop(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.stop().await?;
        }
        Ok(())
    }

    async fn form(&mut self) -> Result<()> {
        let ports = self.ports();
        let count = ports.len();
        for (number, port) in ports.iter().enumerate() {
            let (first, last) = (number * SLOTS / count, (number + 1) * SLOTS / count - 1);
            let words = ["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()];
            protocol::command(*port, &words)
                .await
                .context("cannot give a node its slots")?;
            // Different epochs from the start spare the nodes a round of conflict resolution.
            let epoch = (number + 1).to_string();
            protocol::command(*port, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch])
                .await
                .context("cannot set the epoch")?;
        }
        if let Some((first, others)) = ports.split_first() {
            for other in others {
                let words = [
                    "CLUSTER",
                    "MEET",
                    "127.0.0.1",
                    &other.to_string(),
                    &(other + BUS_OFFSET).to_string(),
                ];
                protocol::command(*first, &words)
                    .await
                    .context("cannot introduce a node")?;
            }
        }
        self.wait_until_whole().await
    }
}

//! What the figures of a run depend on: the machine, how busy it was, the servers and how durable they are.

use anyhow::{Context as _, Result};
use fred::{
    interfaces::ClientLike as _,
    types::{ClusterHash, CustomCommand, InfoKind},
};

use super::{brain::Servers, report::Report};

/// Adds to the report what can be read from the machine and the servers.
pub(super) async fn describe(servers: &Servers, report: &mut Report) -> Result<()> {
    report.condition("cores", std::thread::available_parallelism()?.get());
    report.condition("processor", line("/proc/cpuinfo", "model name"));
    report.condition("memory", line("/proc/meminfo", "MemTotal"));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    report.condition("load average before", load);
    let postgres = servers.connect("postgres").await?;
    for (name, setting) in [
        ("PostgreSQL", "server_version"),
        ("fsync", "fsync"),
        ("synchronous_commit", "synchronous_commit"),
    ] {
        let value: String = postgres.query_one(&format!("SHOW {setting}"), &[]).await?.get(0);
        report.condition(name, value);
    }
    let redis = servers.redis().await?;
    let info: String = redis.info(Some(InfoKind::Server)).await?;
    let version = info.lines().find_map(|line| {
        line.strip_prefix("valkey_version:")
            .or_else(|| line.strip_prefix("redis_version:"))
    });
    report.condition("Redis or Valkey", version.context("redis tells no version")?.trim());
    let appendonly: Vec<String> = redis
        .custom(
            CustomCommand::new_static("CONFIG", ClusterHash::Random, false),
            vec!["GET", "appendonly"],
        )
        .await?;
    report.condition(
        "appendonly of Redis",
        appendonly.last().map_or("unknown", String::as_str),
    );
    Ok(())
}

/// The value of the first line of a file in /proc that starts with this name.
fn line(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let found = text.lines().find(|line| line.starts_with(name));
    let value = found
        .and_then(|line| line.split_once(':'))
        .map(|(_, value)| value.trim());
    value.unwrap_or("unknown").to_owned()
}

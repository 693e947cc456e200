//! The root of the typed tree, with one field for each section.

use std::collections::BTreeMap;

use crate::{
    Artifacts, Audit, Bus, Loaded, Log, Memory, Postgres, Problems, RedactedEntry, Redis, Retention, Server, Skills,
    Source, Sources, Swarm, Telemetry, definitions, load, redacted,
};

/// The whole configuration: valid values only, ready to be handed out section by section.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where and how the HTTP server listens.
    pub server: Server,
    /// What is logged, and in which form.
    pub log: Log,
    /// The database, which holds the truth.
    pub postgres: Postgres,
    /// The server that carries the event streams.
    pub redis: Redis,
    /// How events travel over the streams.
    pub bus: Bus,
    /// The S3-compatible store of artifacts.
    pub artifacts: Artifacts,
    /// Vector memory and embeddings.
    pub memory: Memory,
    /// The swarm that this process serves.
    pub swarm: Swarm,
    /// How long stored rows are kept.
    pub retention: Retention,
    /// How the audit trail is signed.
    pub audit: Audit,
    /// Export of traces.
    pub telemetry: Telemetry,
    /// Registries, installation and confinement of skills.
    pub skills: Skills,
    /// Where each value that is not a default came from, by variable name.
    pub origins: BTreeMap<&'static str, Source>,
}

impl Config {
    /// Reads and checks every variable.
    ///
    /// # Errors
    ///
    /// All problems of all sources together, each with its variable, its value (hidden when it is a
    /// secret) and what would be valid.
    pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
        load::load(sources)
    }

    /// The configuration of an empty environment.
    #[must_use]
    pub fn defaults() -> Self {
        let mut config = Self::blank();
        for definition in definitions() {
            // A default that does not parse would be a mistake in the list; a unit test applies each one.
            let applied = definition.apply(&mut config, definition.default);
            debug_assert!(applied.is_ok(), "the default of {} is not valid", definition.name);
        }
        config
    }

    /// Every variable with its value, secrets as `[set]` or `[missing]`, in the order of
    /// [`definitions`]. Safe to log.
    #[must_use]
    pub fn redacted(&self) -> Vec<RedactedEntry> {
        redacted::entries(self)
    }

    /// A tree of empty values for the definitions to fill; never handed out as it is.
    fn blank() -> Self {
        Self {
            server: Server::blank(),
            log: Log::blank(),
            postgres: Postgres::blank(),
            redis: Redis::blank(),
            bus: Bus::blank(),
            artifacts: Artifacts::blank(),
            memory: Memory::blank(),
            swarm: Swarm::blank(),
            retention: Retention::blank(),
            audit: Audit::blank(),
            telemetry: Telemetry::blank(),
            skills: Skills::blank(),
            origins: BTreeMap::new(),
        }
    }
}

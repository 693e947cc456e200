//! Settings of vector memory and embeddings.

use std::time::Duration;

use crate::Config;
use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// Vector memory and embeddings.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Whether vector memory is used.
    pub enabled: bool,
    /// Who turns text into vectors.
    pub embedding_provider: EmbeddingProvider,
    /// Numbers in a vector.
    pub dimensions: usize,
    /// Time that one embedding may take.
    pub timeout: Duration,
}

/// Who turns text into vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EmbeddingProvider {
    /// Nobody here: callers bring their vectors.
    None,
}

impl EmbeddingProvider {
    const ALL: [Self; 1] = [Self::None];
    const NAMES: &[&str] = &["none"];

    /// The word that selects it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
        }
    }
}

impl Memory {
    pub(crate) fn blank() -> Self {
        Self {
            enabled: false,
            embedding_provider: EmbeddingProvider::None,
            dimensions: 0,
            timeout: Duration::ZERO,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Memory,
        "STUDIO_BRAIN_VECTOR_STORE_ENABLED",
        "false",
        Valid::Flag,
        Access::Flag(|config| &mut config.memory.enabled),
        "Whether vector memory is used; without pgvector it searches exactly.",
    ),
    Definition::new(
        Section::Memory,
        "STUDIO_BRAIN_EMBEDDING_PROVIDER",
        "none",
        Valid::Choice(EmbeddingProvider::NAMES),
        Access::Parsed {
            set: |config, text| {
                let provider = EmbeddingProvider::ALL.into_iter().find(|one| one.as_str() == text);
                provider
                    .map(|provider| config.memory.embedding_provider = provider)
                    .is_some()
            },
            get: |config: &Config| config.memory.embedding_provider.as_str().to_owned(),
        },
        "Who turns text into vectors; with none, callers bring them.",
    ),
    Definition::new(
        Section::Memory,
        "STUDIO_BRAIN_EMBEDDING_DIMENSIONS",
        "1536",
        Valid::Number {
            min: 1,
            max: 16_000,
            unit: "dimensions",
        },
        Access::Usize(|config| &mut config.memory.dimensions),
        "Numbers in a vector; every stored one has as many.",
    ),
    Definition::new(
        Section::Memory,
        "STUDIO_BRAIN_EMBEDDING_TIMEOUT_MS",
        "15000",
        Valid::Number {
            min: 500,
            max: 120_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.memory.timeout),
        "Time that one embedding may take.",
    )
    .not_effective_yet(),
];

//! Health of the artifact store: the bucket exists and the credentials may use it.

use async_trait::async_trait;
use serde_json::json;

use super::{ArtifactStore, transport::Repeat};
use crate::health::{Outcome, Probe};

/// The `artifact_store` check.
#[derive(Clone, Debug)]
pub struct ArtifactStoreProbe {
    store: ArtifactStore,
}

impl ArtifactStoreProbe {
    /// Checks `store`.
    #[must_use]
    pub fn new(store: ArtifactStore) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Probe for ArtifactStoreProbe {
    fn name(&self) -> &'static str {
        "artifact_store"
    }

    async fn probe(&self) -> Outcome {
        let action = "look at";
        let transport = &self.store.transport;
        let outcome = match transport.bucket_is_there(action, Repeat::Never).await {
            Ok(true) => Outcome::ok(),
            Ok(false) => {
                let context = transport.context(action, None);
                Outcome::error(super::Error::BucketMissing { context }.to_string())
            }
            Err(error) => Outcome::error(error.to_string()),
        };
        let place = self.store.place();
        outcome.with_details(json!({ "endpoint": place.endpoint, "bucket": place.bucket }))
    }
}

//! The checks `skill_registry` and `skill_sandbox` of the health report.

use std::sync::Arc;

use async_trait::async_trait;
use brain_connectivity::health::{Outcome, Probe};
use brain_skills::plane::Plane;
use serde_json::json;

/// Both checks.
#[derive(Clone)]
pub(crate) struct Probes(Arc<State>);

enum State {
    Served(Plane),
    Unserved(String),
}

impl Probes {
    pub(super) fn served(plane: Plane) -> Self {
        Self(Arc::new(State::Served(plane)))
    }

    /// Where skills are not served, for this reason.
    pub(crate) fn unserved(reason: &str) -> Self {
        Self(Arc::new(State::Unserved(reason.to_owned())))
    }

    pub(crate) fn registry(&self) -> impl Probe + 'static {
        RegistryProbe(self.clone())
    }

    pub(crate) fn sandbox(&self) -> impl Probe + 'static {
        SandboxProbe(self.clone())
    }
}

struct RegistryProbe(Probes);

#[async_trait]
impl Probe for RegistryProbe {
    fn name(&self) -> &'static str {
        "skill_registry"
    }

    async fn probe(&self) -> Outcome {
        let State::Served(plane) = &*self.0.0 else {
            return unserved(&self.0);
        };
        let plane = plane.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let offers = plane.offers();
            if !offers.exist() {
                let reason = format!("there is no {offers}; nothing can be installed");
                return Outcome::disabled().with_details(json!({ "reason": reason }));
            }
            let skills = offers.all().map(|all| all.len());
            let details = json!({"source": offers.to_string(), "signed": offers.is_signed()});
            match (skills, offers.expires()) {
                (Ok(skills), Ok(expires)) => Outcome::ok().with_details(
                    json!({"source": details["source"], "signed": details["signed"], "skills": skills, "expiresAt": expires}),
                ),
                // What is installed goes on; only nothing new can come.
                (Err(error), _) | (_, Err(error)) => Outcome::degraded(error.to_string()).with_details(details),
            }
        });
        looked
            .await
            .unwrap_or_else(|error| Outcome::degraded(error.to_string()))
    }
}

struct SandboxProbe(Probes);

#[async_trait]
impl Probe for SandboxProbe {
    fn name(&self) -> &'static str {
        "skill_sandbox"
    }

    async fn probe(&self) -> Outcome {
        let State::Served(plane) = &*self.0.0 else {
            return unserved(&self.0);
        };
        let missing: Vec<&str> = plane
            .mechanisms()
            .iter()
            .filter(|one| one.missing().is_some())
            .map(|one| one.mechanism.as_str())
            .collect();
        let details = json!({
            "running": plane.running(),
            "enforced": plane.mechanisms().len() - missing.len(),
            "missing": missing,
        });
        Outcome::ok().with_details(details)
    }
}

fn unserved(probes: &Probes) -> Outcome {
    match &*probes.0 {
        State::Unserved(reason) => Outcome::disabled().with_details(json!({ "reason": reason })),
        State::Served(_) => Outcome::ok(),
    }
}

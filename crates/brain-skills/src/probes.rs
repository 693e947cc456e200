//! Health probes of the skill plane: both say that this version does not serve skills.

use async_trait::async_trait;
use brain_connectivity::health::{Outcome, Probe};
use serde_json::json;

/// The `skill_registry` check.
#[derive(Debug, Clone, Copy, Default)]
pub struct RegistryProbe;

/// The `skill_sandbox` check.
#[derive(Debug, Clone, Copy, Default)]
pub struct SandboxProbe;

#[async_trait]
impl Probe for RegistryProbe {
    fn name(&self) -> &'static str {
        "skill_registry"
    }

    async fn probe(&self) -> Outcome {
        not_served("no registry is read")
    }
}

#[async_trait]
impl Probe for SandboxProbe {
    fn name(&self) -> &'static str {
        "skill_sandbox"
    }

    async fn probe(&self) -> Outcome {
        not_served("no sandbox is started")
    }
}

fn not_served(consequence: &str) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let reason = format!("skills are not served by version {version}; {consequence}");
    Outcome::disabled().with_details(json!({ "reason": reason }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use brain_connectivity::health::{Health, Status};

    use super::*;

    #[tokio::test]
    async fn both_checks_are_disabled_and_say_why() {
        let health = Health::new(Duration::from_secs(1))
            .with(SandboxProbe)
            .with(RegistryProbe);
        let report = health.report().await;
        assert!(report.ok);
        let names: Vec<&str> = report.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["skill_registry", "skill_sandbox"]);
        for check in &report.checks {
            assert_eq!(check.status, Status::Disabled);
            assert_eq!(check.latency_ms, None);
            let reason = check.details.as_ref().unwrap()["reason"].as_str().unwrap();
            assert!(reason.contains("not served"), "{reason}");
        }
    }
}

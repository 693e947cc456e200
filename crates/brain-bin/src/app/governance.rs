//! Governance of this process: the policy from its file, webhooks that carry it out, notices of what waits.

use std::sync::Arc;

use anyhow::Context as _;
use brain_config::Config;
use brain_connectivity::postgres::Postgres;
use brain_http::skills::Availability;
use brain_swarm::governance::{
    Bell, Governance, Options, lint,
    means::Means,
    policy::Policy,
    webhook::{Client, WebhookExecutor, notices},
};

use super::skills::SkillExecutor;
use crate::exit::Usage;

/// The policy of the configured file; one that cannot be used is a wrong configuration, said before anything is begun.
pub(crate) fn read_policy(config: &Config) -> Result<Policy, Usage> {
    match &config.governance.capabilities_file {
        Some(path) => Policy::load(path).map_err(|error| Usage(error.to_string())),
        None => Ok(Policy::empty()),
    }
}

/// Makes everything that the policy needs; where a service delivers notices, that too.
pub(super) fn open(
    config: &Config,
    policy: Policy,
    postgres: &Postgres,
    (replica_id, skills): (&str, &Availability),
) -> anyhow::Result<(Governance, Option<notices::Service>)> {
    let found = lint::lint(&policy);
    for finding in &found {
        tracing::warn!(
            capability.id = finding.capability_id.as_str(),
            detail = finding.detail,
            "the policy could be better"
        );
    }
    let count = policy.capabilities().count();
    if count > 0 {
        tracing::info!(capabilities = count, policy.version = %policy.version(), "policy read");
    }
    let client = Client::new(&config.webhooks).context("webhooks cannot be set up")?;
    let (notices, bell) = notices::Options::new(&config.webhooks, postgres.clone(), client.clone())
        .context("STUDIO_BRAIN_APPROVAL_WEBHOOK_URL")?
        .map(notices::Service::new)
        .unzip();
    let skills = skills.clone();
    let governance = Governance::new(Options {
        postgres: postgres.clone(),
        policy,
        executor: Box::new(move |means| match means {
            Means::Webhook(targets) => Arc::new(WebhookExecutor::new(client.clone(), (**targets).clone())),
            Means::Skill(commands) => Arc::new(SkillExecutor::new(skills.clone(), commands.clone())),
        }),
        notices: bell.map(|handle: notices::Handle| -> Bell { Arc::new(move || handle.ring()) }),
        replica_id: replica_id.to_owned(),
    });
    Ok((governance, notices))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_example_is_a_policy_without_findings() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/capabilities.toml");
        let policy = Policy::load(path.as_ref()).unwrap();
        assert_eq!(policy.capabilities().count(), 3);
        assert_eq!(lint::lint(&policy), []);
        let document = include_str!("../../../../docs/CAPABILITIES.md");
        let example = std::fs::read_to_string(path).unwrap();
        assert!(
            document.contains(&format!("```toml\n{example}```")),
            "docs/CAPABILITIES.md has the example"
        );
    }
}

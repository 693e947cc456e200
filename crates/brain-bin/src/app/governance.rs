//! Governance of this process: the policy from its file, webhooks that carry it out, notices of what waits.

use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use brain_config::Config;
use brain_connectivity::postgres::Postgres;
use brain_swarm::governance::{
    Bell, Governance, Options,
    capability::{Definition, ExecutorSpec},
    executor::{Executor, Fence, NotSent, Order, Outcome},
    lint,
    policy::Policy,
    webhook::{Client, WebhookExecutor, notices},
};

use crate::{exit::Usage, policy};

/// The policy of the configured file; one that cannot be used is a wrong configuration, said before anything is begun.
pub(crate) fn read_policy(config: &Config) -> Result<Policy, Usage> {
    match &config.governance.capabilities_file {
        Some(path) => policy::read(path).map_err(|error| Usage(error.to_string())),
        None => Ok(Policy::empty()),
    }
}

/// Makes everything that the policy needs; where a service delivers notices, that too.
pub(super) fn open(
    config: &Config,
    policy: Policy,
    postgres: &Postgres,
    replica_id: &str,
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
    let governance = Governance::new(Options {
        postgres: postgres.clone(),
        policy,
        executor: Box::new(move |definition| executor(&client, definition)),
        notices: bell.map(|handle: notices::Handle| -> Bell { Arc::new(move || handle.ring()) }),
        replica_id: replica_id.to_owned(),
    });
    Ok((governance, notices))
}

fn executor(client: &Client, definition: &Definition) -> Arc<dyn Executor> {
    let ExecutorSpec::Webhook { url, rollback_url, .. } = &definition.executor;
    match WebhookExecutor::new(client.clone(), url, rollback_url.as_deref()) {
        Ok(webhook) => Arc::new(webhook),
        Err(refused) => Arc::new(Unusable(refused.to_string())),
    }
}

/// Stands for an executor that can never be used, and says why each time.
#[derive(Debug)]
struct Unusable(String);

#[async_trait]
impl Executor for Unusable {
    async fn carry_out(&self, _order: &Order, _fence: &dyn Fence) -> Outcome {
        Outcome::NotSent {
            reason: NotSent::Refused(self.0.clone()),
        }
    }
}

//! The way out of skills that may reach some hosts: the proxy, with each decision in the log.
//!
//! Invariant: a way out is served until the program that has it is gone, and no longer.

use std::{net::TcpListener, sync::Arc};

use brain_skills::{
    digest::Digest,
    egress::{self, Allowlist, Proxy},
    sandbox::Door,
};
use tokio_util::sync::CancellationToken;

/// Serves ways out by the proxy.
pub(super) struct Proxied(Proxy);

impl Default for Proxied {
    fn default() -> Self {
        Self(Proxy::new(egress::Settings::default()))
    }
}

impl Door for Proxied {
    fn serve(&self, listener: TcpListener, allowed: Arc<Allowlist>, digest: &Digest) -> Box<dyn Send + Sync> {
        let stop = CancellationToken::new();
        let digest = digest.to_string();
        let log: egress::Sink = Arc::new(move |decision| {
            let refused = decision.refused.as_ref().map(ToString::to_string);
            tracing::info!(
                audit = true,
                skill.digest = digest,
                target_host = decision.target,
                address = decision.address.map(tracing::field::display),
                refused,
                "a skill asked for a host"
            );
        });
        let (proxy, until) = (self.0.clone(), stop.clone());
        tokio::spawn(async move {
            if let Err(error) = proxy.serve(listener, allowed, log, until).await {
                tracing::warn!(error = %error, "the way out of a skill cannot be served");
            }
        });
        Box::new(stop.drop_guard())
    }
}
